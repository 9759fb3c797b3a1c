"""Batches of tokenised rows, in which each row keeps its task.

Sources are padded to the longest of their batch. The notebooks padded all of them to 512; with the
attention mask the model gives the same answer, and sooner. Those of a decoder-only model are padded
on the left, so that the answers of a batch begin at one place.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypedDict

from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.settings import Settings
from workflow_scripts.tables import Row, read_rows
from workflow_scripts.text.preprocessing import ModelInput, model_input

IGNORED = -100  # the label that no loss counts


class Example(TypedDict):
    input_ids: list[int]
    labels: list[int]  # with the end token
    task: int  # place in TASKS


@dataclass(frozen=True)
class TrainingData:
    """The rows of a run, tokenised."""

    reads: ModelInput
    train: list[Example]
    val: list[Example]

    @property
    def collator(self) -> "Collator":
        recipe = self.reads.recipe
        return Collator(
            self.reads.pad,
            recipe.target_tokens if recipe.padding_in_loss else None,
            self.reads.padding_side,
        )

    @classmethod
    def load(cls, train: Path, val: Path, base: Path, settings: Settings) -> "TrainingData":
        """Raises EssenceError when a sample is missing or empty, or `base` has no tokenizer."""
        rows = [read_sample(path, settings) for path in (train, val)]
        targets = (row.target for part in rows for row in part)
        reads = model_input(base, settings.recipe, targets)
        return cls(reads, *(make_examples(part, reads) for part in rows))


def read_sample(path: Path, settings: Settings) -> list[Row]:
    """The rows of a split, with the sources that the run gives them.

    Raises EssenceError when the file is missing, empty or not a table of rows.
    """
    rows = read_rows(path)
    if not rows:
        raise EssenceError(f"{path}: no rows. Ask for more rows in the run's settings.")
    if settings.run.sources == "other":
        return with_other_sources(rows, settings.seed)
    return rows


def with_other_sources(rows: Sequence[Row], seed: int) -> list[Row]:
    """The same rows, each with the source of a row of its task that asks something else: a control.

    Who is right more often than these rows allow has not read the question. Sources are exchanged:
    rows of one question stand together, and all move by the longest run. Raises EssenceError when
    more than half of a task's rows ask the same question: then it cannot be done.
    """
    source = {}
    for task in TASKS:
        places = [place for place, row in enumerate(rows) if row.task == task]
        random.Random(f"{seed} {task}").shuffle(places)
        together: dict[str, list[int]] = defaultdict(list)
        for place in places:
            together[comparable_text(rows[place].question)].append(place)
        places = list(chain(*together.values()))
        step = max(map(len, together.values()), default=0)
        if 2 * step > len(places):
            raise EssenceError(
                f"sources: other: {step} of {len(places)} {task} rows ask the same question, so "
                "not every row can be given the source of another one. Ask for more rows."
            )
        moved = places[step:] + places[:step]
        source |= {place: rows[other].source for place, other in zip(places, moved, strict=True)}
    return [row._replace(source=source[place]) for place, row in enumerate(rows)]


def make_examples(rows: list[Row], reads: ModelInput) -> list[Example]:
    sources = reads.sources([row.source for row in rows])
    targets = reads.targets([row.target for row in rows])
    return [
        Example(input_ids=source, labels=target, task=TASKS.index(row.task))
        for row, source, target in zip(rows, sources, targets, strict=True)
    ]


@dataclass(frozen=True)
class Collator:
    """Makes tensors: input_ids, attention_mask, labels (batch x longest), task, target_length.

    With `padded_target` set, targets are padded up to that length and the loss counts the padding,
    as in the notebooks; otherwise they are filled with IGNORED up to the longest. `side`: where
    sources are padded, right or left.
    """

    pad: int
    padded_target: int | None = None
    side: str = "right"

    def __call__(self, batch: list[Example]) -> dict[str, Any]:
        import torch

        targets = [row["labels"] for row in batch]
        width = self.padded_target or max(map(len, targets))
        fill = self.pad if self.padded_target else IGNORED
        ids, mask = pad_sources([row["input_ids"] for row in batch], self.pad, self.side)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": torch.tensor([ids + [fill] * (width - len(ids)) for ids in targets]),
            "task": torch.tensor([row["task"] for row in batch]),
            "target_length": torch.tensor([len(ids) for ids in targets]),
        }


def pad_sources(sources: list[list[int]], pad: int, side: str = "right") -> tuple[Any, Any]:
    """(input_ids, attention_mask), each batch x longest."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    rows = [torch.tensor(source) for source in sources]
    ids = pad_sequence(rows, True, pad, side)
    mask = pad_sequence([torch.ones_like(row) for row in rows], True, 0, side)
    return ids, mask
