"""Rows as token ids, and batches that remember the task of each row.

Sources are cut at the recipe's length and padded to the longest of their batch. The notebooks
padded all of them to 512; with the attention mask the model gives the same answer, and sooner.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.text.recipes import Recipe, source_text, target_text

IGNORED = -100  # the label that no loss counts
Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The rows of a sample. Raises EssenceError when it is missing, empty or of unknown tasks."""
    if not path.is_file():
        raise EssenceError(f"{path}: no such file. `snakemake` makes it from results/data.")
    rows = pq.read_table(path).to_pylist()
    if not rows:
        raise EssenceError(f"{path}: no rows. Ask for more rows in the run's settings.")
    unknown = sorted({row["task"] for row in rows} - set(TASKS))
    if unknown:
        raise EssenceError(f"{path}: unknown task {', '.join(unknown)}. Known: {', '.join(TASKS)}.")
    return rows


def encode_sources(rows: list[Row], recipe: Recipe, tokenizer: Any) -> list[list[int]]:
    texts = [source_text(recipe, row["source"]) for row in rows]
    return tokenizer(texts, truncation=True, max_length=recipe.source_tokens)["input_ids"]


def encode_targets(rows: list[Row], recipe: Recipe, tokenizer: Any) -> list[list[int]]:
    texts = [target_text(row["target"]) for row in rows]
    return tokenizer(texts, truncation=True, max_length=recipe.target_tokens)["input_ids"]


def examples(rows: list[Row], recipe: Recipe, tokenizer: Any) -> list[dict[str, Any]]:
    """One dictionary a row: input_ids, labels (with the end token), task (place in TASKS)."""
    sources = encode_sources(rows, recipe, tokenizer)
    targets = encode_targets(rows, recipe, tokenizer)
    return [
        {"input_ids": source, "labels": target, "task": TASKS.index(row["task"])}
        for row, source, target in zip(rows, sources, targets, strict=True)
    ]


def count_tasks(examples: list[dict[str, Any]]) -> dict[str, int]:
    """Rows of each task, and of all."""
    counts = Counter(TASKS[example["task"]] for example in examples)
    return {"all": len(examples), **{task: counts[task] for task in TASKS}}


@dataclass(frozen=True)
class Collator:
    """Makes tensors: input_ids, attention_mask, labels (batch x longest), task, target_length.

    With `padded_target` set, targets are filled with the padding token up to that length and the
    loss counts it, as in the notebooks; otherwise they are filled with IGNORED up to the longest.
    """

    pad: int
    padded_target: int | None = None

    def __call__(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        import torch

        sources = [row["input_ids"] for row in batch]
        targets = [row["labels"] for row in batch]
        width = self.padded_target or max(map(len, targets))
        fill = self.pad if self.padded_target else IGNORED
        input_ids, mask = pad_sources(sources, self.pad)
        return {
            "input_ids": input_ids,
            "attention_mask": mask,
            "labels": torch.tensor([ids + [fill] * (width - len(ids)) for ids in targets]),
            "task": torch.tensor([row["task"] for row in batch]),
            "target_length": torch.tensor([len(ids) for ids in targets]),
        }


def pad_sources(sources: list[list[int]], pad: int) -> tuple[Any, Any]:
    """(input_ids, attention_mask), each batch x longest."""
    import torch

    width = max(map(len, sources))
    ids = torch.tensor([source + [pad] * (width - len(source)) for source in sources])
    lengths = torch.tensor([len(source) for source in sources])
    return ids, (torch.arange(width) < lengths[:, None]).long()
