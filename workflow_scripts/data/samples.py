"""What samples are drawn by, and the splits of rows."""

from typing import Literal

from pydantic import Field

from workflow_scripts.records import Record

# A model is judged on test rows of databases that its training rows are about too, of databases
# that no run has seen, and of databases that another file of rows is about.
TEST_SPLITS = ("test", "unseen", "other")
SPLITS = ("val", *TEST_SPLITS, "train")  # every split of rows that a run may be asked


class SampleSettings(Record):
    """How one sample is drawn and split.

    `draw` numbers the samples that one seed gives, so that two runs can have different rows.
    """

    sampling: Literal["natural", "balanced"]  # at random, or as many rows of each task
    rows: int = Field(ge=2)
    split: Literal["row", "group", "database"] = "row"  # what stays on one side
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    draw: int = 1
    seed: int = 42
