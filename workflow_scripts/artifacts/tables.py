"""The Parquet files of the pipeline, one dataclass each; `None` where a row lacks the value."""

from dataclasses import dataclass, field

# A model is judged on test rows of databases that its training rows are about too, of databases
# that no run has seen, and of databases that another file of rows is about.
TEST_SPLITS = ("test", "unseen", "other")
SPLITS = ("val", *TEST_SPLITS, "train")  # every split of rows that a run may be asked


@dataclass(slots=True)
class Row:
    """rows.parquet, and the samples and test rows drawn from it: one line of the input.

    A field is None where the prompt of that task doesn't have it. `database` is None where the row
    is not linked; `how` says why, or how it was linked (`data.linking`).
    """

    idx: int  # the row's own number, or its line number
    line: int  # line of the input file, from 1
    task: str
    db_id: str | None
    question: str
    evidence: str | None
    schema: str
    foreign_keys: str | None
    old_sql: str | None
    error: str | None
    exception_class: str | None
    gold_sql: str | None
    source: str  # "### Input:\n" ... "### Response:\n"
    target: str  # the answer, without "</s>"
    database: str | None = None
    how: str = "none"
    candidates: list[str] = field(default_factory=list)  # all databases that the schema allows


@dataclass(slots=True)
class RowSubject:
    """The columns of `Row` that tell what a row is about, without its long texts."""

    idx: int
    task: str
    db_id: str | None
    question: str
    gold_sql: str | None
    schema: str


@dataclass(slots=True)
class Lengths:
    """lengths.parquet: one line a row."""

    idx: int
    task: str
    source_words: int
    target_words: int
    source_tokens: int
    target_tokens: int


@dataclass(slots=True)
class Prediction:
    """predictions.parquet: one answer of a run.

    `gold_decoded` is what the run's tokenizer can write of `gold`, which the notebooks compared
    with; `cut` says that the limit of generated tokens was reached.
    """

    split: str  # one of SPLITS
    idx: int
    task: str
    db_id: str | None
    question: str
    gold: str
    gold_decoded: str
    prediction: str
    prediction_tokens: int
    cut: bool


@dataclass(slots=True)
class BoundedPrediction(Prediction):
    """All columns of predictions.parquet: those of `Prediction`, and what bounds exact match.

    Equal `input`s, numbered from 0, are the same token ids, so the model answers them equally.
    `reachable`: `gold_decoded` fits into the limit of generated tokens.
    """

    input: int
    reachable: bool
