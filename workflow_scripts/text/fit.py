"""The fit audit: what a recipe, a tokenizer and its lengths leave of the rows, before training.

    python -m workflow_scripts.text.fit --rows FILE.jsonl --tokenizer DIR --recipe NAME [--json]

Rows are a JSONL file (raw or processed form) or rows.parquet; the recipe is a name under
`recipes` of the configuration, or its settings as JSON. It costs little more than tokenising the
rows once (`--benchmark` says how much), and holds a few batches of texts at a time.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from workflow_scripts.data.lines import Lines, RowError, record_in
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import to_json, write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.text.audit import Row, Tally, leftovers
from workflow_scripts.text.fit_report import as_table, concerns, fatal, loud
from workflow_scripts.text.recipes import Recipe, read_recipe, source_text, target_text
from workflow_scripts.text.tokenizers import embedding_rows, load_tokenizer, rows_needed


class RowFile:
    """The rows of a file as (task, source, target), read anew at each iteration.

    Lines that can't be read are passed over; `unreadable` holds "line N: why" of each after an
    iteration. Raises EssenceError when the file is missing or no Parquet file of rows.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        self.unreadable = []
        yield from self._parquet() if self.path.suffix == ".parquet" else self._jsonl()

    def _parquet(self) -> Iterator[Row]:
        columns = ["task", "source", "target"]
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(batch_size=1024, columns=columns):
                    yield from zip(*(batch[name].to_pylist() for name in columns), strict=True)
        except (OSError, KeyError, ValueError) as error:
            raise EssenceError(
                f"{self.path}: not a Parquet file with the columns {', '.join(columns)} ({error})"
            ) from error

    def _jsonl(self) -> Iterator[Row]:
        for number, line in Lines(self.path):
            try:
                row = row_from(record_in(line), number)
            except RowError as error:
                self.unreadable.append(f"line {number}: {error}")
                continue
            yield row.task, row.source, row.target


def audit(rows: RowFile, model_dir: Path | str, recipe: Recipe) -> dict[str, Any]:
    """The whole audit as JSON values; see `Tally.summary` for what `tasks` and `all` hold.

    Raises EssenceError when no row can be read.
    """
    wants_targets = recipe.tokenizer == "lossless"
    targets = (target_text(target) for _, _, target in rows) if wants_targets else ()
    tokenizer = load_tokenizer(model_dir, recipe.tokenizer, targets)
    tallies = tally(rows, recipe, tokenizer)
    if not tallies["all"].rows:
        first = f" The first: {rows.unreadable[0]}" if rows.unreadable else ""
        raise EssenceError(f"{rows.path}: no row can be read.{first}")
    result = {
        "recipe": recipe.name,
        "settings": asdict(recipe),
        "tokenizer": str(model_dir),
        "embedding_rows": {"model": embedding_rows(model_dir), "needed": rows_needed(tokenizer)},
        "rows": tallies["all"].rows,
        "unreadable": len(rows.unreadable),
        "first_unreadable": rows.unreadable[0] if rows.unreadable else None,
        "tasks": {task: tallies[task].summary() for task in TASKS if task in tallies},
        "all": tallies["all"].summary() if tallies["all"].rows else {},
    }
    deadly = fatal(result)
    return {
        **result,
        "learning_possible": not deadly,
        "warnings": deadly + concerns(result),
    }


def tally(rows: Iterable[Row], recipe: Recipe, tokenizer: Any) -> dict[str, Tally]:
    """The tally of each task that occurs, and of "all"."""
    tallies = {"all": Tally()}
    for left in leftovers(rows, recipe, tokenizer):
        tallies.setdefault(left.task, Tally()).add(left)
        tallies["all"].add(left)
    return tallies


def benchmark(rows: RowFile, model_dir: Path | str, recipe: Recipe, repeats: int = 3) -> str:
    """The audit's time beside that of tokenising the same rows once, as training does.

    Both start from rows and a tokenizer in memory and prepare the recipe's text themselves; the
    best of `repeats` alternating measurements each.
    """
    held = list(rows)
    targets = [target_text(target) for _, _, target in held]
    tokenizer = load_tokenizer(model_dir, recipe.tokenizer, targets)

    def tokenise() -> None:
        texts = [source_text(recipe, source) for _, source, _ in held]
        tokenizer(texts, truncation=True, max_length=recipe.source_tokens)
        tokenizer(targets, truncation=True, max_length=recipe.target_tokens)

    def cost(work: Callable[[], Any]) -> tuple[float, float]:
        """(wall-clock, CPU of all threads) in seconds."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return time.perf_counter() - wall, time.process_time() - cpu

    costs = [
        (*cost(tokenise), *cost(lambda: tally(held, recipe, tokenizer))) for _ in range(repeats)
    ]
    wall, cpu, audit_wall, audit_cpu = map(min, zip(*costs, strict=True))
    return (
        f"{len(held)} rows, recipe {recipe.name}: tokenising {wall:.2f} s ({cpu:.2f} s of CPU), "
        f"audit {audit_wall:.2f} s ({audit_cpu:.2f} s of CPU), "
        f"ratio {audit_wall / wall:.2f} (CPU {audit_cpu / cpu:.2f})"
    )


def _recipe(text: str, config: Path) -> Recipe:
    if not text.lstrip().startswith("{"):
        return read_recipe(config, text)
    try:
        return Recipe.from_settings(json.loads(text))
    except json.JSONDecodeError as error:
        raise EssenceError(f"--recipe: not JSON ({error}); give a name or an object") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", required=True, type=Path, help="JSONL or Parquet file of rows")
    parser.add_argument("--tokenizer", required=True, type=Path, help="folder of the model")
    parser.add_argument("--recipe", required=True, help="name in the configuration, or JSON")
    parser.add_argument("--config", default=Path("config.yaml"), type=Path)
    parser.add_argument("--out", type=Path, help="file for the audit as JSON")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--benchmark", action="store_true", help="print what the audit costs")
    arguments = parser.parse_args()
    recipe = _recipe(arguments.recipe, arguments.config)
    rows = RowFile(arguments.rows)
    if arguments.benchmark:
        print(benchmark(rows, arguments.tokenizer, recipe))
        return
    result = audit(rows, arguments.tokenizer, recipe)
    if arguments.out:
        write_json(arguments.out, result)
    print(to_json(result) if arguments.json else as_table(result))
    if deadly := fatal(result):
        print(loud(result, deadly), file=sys.stderr)
    for sentence in concerns(result):
        print(f"warning: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    run_cli(main)
