"""The fit audit: what a recipe, a tokenizer and its lengths leave of the rows, before training.

    python -m workflow_scripts.text.fit --rows FILE.jsonl --tokenizer DIR --recipe NAME [--json]

Rows are a JSONL file (raw or processed form) or rows.parquet. It costs little more than tokenising
the rows once, and holds a few batches of texts at a time.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import yaml

from workflow_scripts.artifacts.fit import EmbeddingRows, FitAudit
from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.data.lines import Lines, RowError, record_in
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import own_file, read_json, to_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.records import parsed
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage
from workflow_scripts.text.audit import FitCounts, fit_rows
from workflow_scripts.text.fit_report import as_table, fatal_warnings, framed, other_warnings
from workflow_scripts.text.preprocessing import ModelInput, model_input
from workflow_scripts.text.tokenizers import embedding_rows_needed

CONFIG = own_file("config.yaml")


class RowFile:
    """The rows of a file, read again at each iteration.

    Lines that cannot be read are skipped; `unreadable` holds "line N: why" of each after an
    iteration. Raises EssenceError when the file is missing or no Parquet file of rows.
    """

    def __init__(self, path: Path):
        self.path = path
        self.unreadable: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        self.unreadable = []
        if self.path.suffix == ".parquet":
            yield from iter_rows(Row, self.path)
            return
        lines = Lines(self.path)
        for number, line in lines:
            try:
                yield row_from(record_in(line), number)
            except RowError as error:
                self.unreadable.append(f"{lines.place(number)}: {error}")


def audit(rows: RowFile, model_dir: Path, recipe: Recipe) -> FitAudit:
    """Audit all rows. Raises EssenceError when none can be read."""
    lossless = recipe.tokenizer == "lossless"
    targets = (row.target for row in rows) if lossless else ()
    reads = model_input(model_dir, recipe, targets)
    counts = count(rows, reads)
    if not counts["all"].rows:
        first = f" The first: {rows.unreadable[0]}" if rows.unreadable else ""
        raise EssenceError(f"{rows.path}: no row can be read.{first}")
    result = FitAudit(
        recipe=recipe.name,
        settings=recipe,
        tokenizer=str(model_dir),
        embedding_rows=EmbeddingRows(
            model=_embedding_rows(model_dir), needed=embedding_rows_needed(reads.tokenizer)
        ),
        rows=counts["all"].rows,
        unreadable=len(rows.unreadable),
        first_unreadable=rows.unreadable[0] if rows.unreadable else None,
        tasks={task: counts[task].summary() for task in TASKS if task in counts},
        all=counts["all"].summary(),
        learning_possible=True,
        warnings=[],
    )
    fatal = fatal_warnings(result)
    return result.model_copy(
        update={"learning_possible": not fatal, "warnings": fatal + other_warnings(result)}
    )


def count(rows: Iterable[Row], reads: ModelInput) -> dict[str, FitCounts]:
    """Count the rows of each task that occurs, and of "all"."""
    counts = {"all": FitCounts()}
    for task, source, target in fit_rows(rows, reads):
        for name in ("all", task):
            counts.setdefault(name, FitCounts()).add(source, target)
    return counts


def _embedding_rows(model_dir: Path) -> int | None:
    """Read `vocab_size` of config.json, or None."""
    config = model_dir / "config.json"
    return read_json(config).get("vocab_size") if config.is_file() else None


def read_recipe(text: str, config: Path) -> Recipe:
    """Read a recipe from its settings as JSON, or from its name under `recipes` of a configuration.

    Raises EssenceError when file, name or JSON are wrong.
    """
    if text.lstrip().startswith("{"):
        try:
            return parsed(Recipe, json.loads(text), "--recipe")
        except json.JSONDecodeError as error:
            raise EssenceError(f"--recipe: not JSON ({error}); give a name or an object") from error
    try:
        recipes = yaml.safe_load(config.read_text(encoding="utf-8"))["recipes"]
    except FileNotFoundError as error:
        raise EssenceError(f"{config}: no such configuration; name one with --config") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise EssenceError(f"{config}: no YAML configuration with recipes ({error})") from error
    if text not in recipes:
        raise EssenceError(f"{config}: no recipe {text!r}; there are {', '.join(recipes)}")
    of_its_runs = ("runs", "test_set")
    own = {key: value for key, value in recipes[text].items() if key not in of_its_runs}
    return parsed(Recipe, {"name": text, **own}, f"{config}: recipes.{text}")


def fit(
    rows: Annotated[Path, Input("JSONL or Parquet file of rows")],
    tokenizer: Annotated[Path, Setting("folder of the model")],
    recipe: Annotated[str, Setting("name in the configuration, or the recipe's settings as JSON")],
    out: Annotated[Path | None, Output("file for the audit as JSON")] = None,
    config: Annotated[Path, Option("configuration that has the recipe")] = CONFIG,
    json: Annotated[bool, Option("print JSON instead of a table")] = False,
) -> None:
    result = audit(RowFile(rows), tokenizer, read_recipe(recipe, config))
    if out:
        result.write(out)
    print(to_json(result.model_dump(mode="json")) if json else as_table(result))
    if fatal := fatal_warnings(result):
        print(framed(result, fatal), file=sys.stderr)
    for sentence in other_warnings(result):
        print(f"warning: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(fit)
