"""The fit audit: what a recipe, a tokenizer and its lengths leave of the rows, before training.

    python -m workflow_scripts.text.fit --rows FILE.jsonl --tokenizer DIR --recipe NAME [--json]

Rows are a JSONL file (raw or processed form) or rows.parquet. It costs little more than tokenising
the rows once, and holds a line of numbers per row.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import yaml

from workflow_scripts.data.rows import Lines, RowError, record_in, row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import own_file, to_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.records import parsed
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage
from workflow_scripts.tables import Row, iter_rows
from workflow_scripts.text.architecture import model_config
from workflow_scripts.text.audit import EmbeddingRows, FitAudit, TaskFit, audit_rows, summarise
from workflow_scripts.text.preprocessing import model_input
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
            yield from iter_rows(self.path)
            return
        lines = Lines(self.path)
        for number, line in lines:
            try:
                yield row_from(record_in(line), number)
            except RowError as error:
                self.unreadable.append(f"{lines.place(number)}: {error}")


def audit(rows: RowFile, model_dir: Path, recipe: Recipe) -> FitAudit:
    """Audit all rows. Raises EssenceError when none can be read."""
    targets = (row.target for row in rows) if recipe.tokenizer == "lossless" else ()
    reads = model_input(model_dir, recipe, targets)
    table = audit_rows(rows, reads)
    if table.empty:
        first = f" The first: {rows.unreadable[0]}" if rows.unreadable else ""
        raise EssenceError(f"{rows.path}: no row can be read.{first}")
    by_task = dict(list(table.groupby("task")))
    tasks = {task: summarise(by_task[task]) for task in TASKS if task in by_task}
    embedding = EmbeddingRows(
        model=model_config(model_dir).get("vocab_size"),
        needed=embedding_rows_needed(reads.tokenizer),
    )
    fatal = [f"{task}: {each}" for task, fit in tasks.items() for each in _fatal(fit, recipe)]
    warnings = [f"{task}: {each}" for task, fit in tasks.items() for each in _losses(fit)]
    if embedding.model and embedding.model < embedding.needed:
        warnings.append(
            f"The tokenizer needs {embedding.needed} embedding rows and the model has "
            f"{embedding.model}: training must resize it."
        )
    if rows.unreadable:
        warnings.append(
            f"{len(rows.unreadable)} lines could not be read and are not counted; "
            f"the first: {rows.unreadable[0]}"
        )
    return FitAudit(
        recipe=recipe.name,
        settings=recipe,
        tokenizer=str(model_dir),
        embedding_rows=embedding,
        rows=len(table),
        unreadable=len(rows.unreadable),
        first_unreadable=rows.unreadable[0] if rows.unreadable else None,
        tasks=tasks,
        all=summarise(table),
        learning_possible=not fatal,
        warnings=fatal + warnings,
    )


def _fatal(fit: TaskFit, recipe: Recipe) -> Iterator[str]:
    """What makes learning impossible."""
    if 2 * fit.distinct_inputs <= fit.distinct_sources > 1:
        section = max(fit.cut_in, key=lambda name: (fit.cut_in[name], name))
        yield (
            f"{fit.rows} rows become {fit.distinct_inputs} distinct input(s) when the source is "
            f"cut at {recipe.source_tokens} tokens (in the {section.replace('_', ' ')}); the model "
            "can only learn the average answer, and equal at most "
            f"{fit.max_exact_match_given_inputs:.3f} of the raw ones."
        )
    if not fit.targets_surviving:
        lost = " ".join(map(repr, list(fit.lost_characters)[:8]))
        yield (
            f"not one of {fit.rows} answers survives encoding and decoding (lost: {lost}); exact "
            f"match with the raw text is at most {fit.max_exact_match:.3f}."
        )


def _losses(fit: TaskFit) -> Iterator[str]:
    """What loses some rows."""
    kept = {"question": fit.question_kept, "schema": fit.schema_kept, "old SQL": fit.old_sql_kept}
    for section, count in kept.items():
        if count is not None and count < fit.rows:
            yield f"{fit.rows - count} of {fit.rows} rows lose (part of) the {section}."
    if 0 < fit.targets_surviving < fit.rows:
        lost = fit.rows - fit.targets_surviving
        yield f"{lost} of {fit.rows} answers don't survive to the byte."
    if fit.targets_cut:
        yield f"{fit.targets_cut} of {fit.rows} answers are cut."
    if share := fit.longer_than_generation:
        yield f"{share:.1%} of the answers are longer than what is generated."


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
    own = {key: value for key, value in recipes[text].items() if key not in ("runs", "test_set")}
    return parsed(Recipe, {"name": text, **own}, f"{config}: recipes.{text}")


def as_table(audit: FitAudit) -> str:
    """Write the audit as text: one line per fact, one column per task."""
    facts = pd.DataFrame(
        {name: fit.model_dump() for name, fit in {**audit.tasks, "all": audit.all}.items()}
    ).drop(["cut_in", "lost_characters"])
    lines = [facts.rename(lambda key: key.replace("_", " ")).map(_cell).to_string()]
    if lost := audit.all.lost_characters:
        lines.append("lost characters: " + ", ".join(f"{c!r} {n}" for c, n in lost.items()))
    if cut := audit.all.cut_in:
        lines.append("sources are cut in: " + ", ".join(f"{k} {n}" for k, n in cut.items()))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return "{median} / {p95} / {max}".format(**value)
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)


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
    if not result.learning_possible:
        bar, title = "!" * 78, f"The recipe {result.recipe} makes learning impossible on these rows"
        print(f"{bar}\n{title}:\n{bar}", file=sys.stderr)
    for sentence in result.warnings:
        print(f"warning: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    run_stage(fit)
