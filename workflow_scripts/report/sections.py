"""The sections of results/report.html that resources/tables.yaml lists, as people read them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from workflow_scripts.files import own_file, read_json, read_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report import html
from workflow_scripts.report.html import marked
from workflow_scripts.report.judge import ARTEFACT, NOT_REPRODUCED, REPRODUCED
from workflow_scripts.report.means import ADDRESS, METRICS, rate, written
from workflow_scripts.report.models import ALL_AGENTS
from workflow_scripts.report.tabulate import HELD_OUT, list_predictions, quality
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.tables import ANSWERS, FLAG, TEXT, read_csv, read_table

USES_FILES = ["../../resources/tables.yaml"]
LAYOUTS = yaml.safe_load(own_file("resources/tables.yaml").read_text(encoding="utf-8"))
QUALITIES = {"exact": "good", "exact as decoded": "unsure", "cut off": "bad", "different": "bad"}
BY_TASK = ("exact_match", "exact_match_at_most", "answer_in_training", "rouge_l")
BY_TASK += ("execution_accuracy",)
SHARED = ["lock", "commit", "versions", "device"]  # shown once where all runs have the same
VERDICTS = {REPRODUCED: "good", ARTEFACT: "bad", NOT_REPRODUCED: "bad"}
SHOWN = ["split", "idx", "task", "db_id", "question", "gold", "gold_decoded"]  # of a row
PARTS = {"test": "Test rows", "val": "Rows drawn from all rows, as in the report"}


def laid_out(name: str, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Heading -> part of a table as tables.yaml lays it out, without the numbers that it lacks."""
    layout, shown = LAYOUTS[name], pd.DataFrame(index=table.index)
    for heading, source in layout["columns"].items():
        if isinstance(source, str):
            shown[heading] = table[source]
        elif source[0] in table:
            limits = source[1:] or [f"{source[0]}_low", f"{source[0]}_high"]
            numbers = table.reindex(columns=[source[0], *limits])
            shown[heading] = [written(*line) for line in numbers.itertuples(index=False)]
    return dict(list(shown.groupby(table[layout["by"]], sort=False)))


def marks(frame: pd.DataFrame, mark: Callable[..., str], *columns: str) -> pd.Series:
    """A column of `Markup`, which would become text without the dtype object."""
    return pd.Series(list(map(mark, *(frame[name] for name in columns))), frame.index, dtype=object)


def known(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def summary(tables: Path) -> Markup:
    table = read_csv(tables / "summary.csv")
    table["learning_rate"] = table.learning_rate.map(rate)
    by_task = _by_task(read_csv(tables / "over_seeds.csv"))
    words = "By task, on rows that were kept from all training"
    return html.tables(laid_out("summary", table) | {words: by_task})


def _by_task(means: pd.DataFrame) -> pd.DataFrame:
    """A line for each run and split of test rows; validation rows where there are no others."""
    splits = [split for split in TEST_SPLITS if (means.split == split).any()] or ["val"]
    own = means[means.split.isin(splits) & means.metric.isin(BY_TASK) & means.task.isin(TASKS)]
    table = own.pivot_table("mean", [*ADDRESS, "split"], ["metric", "task"], sort=False)
    columns = pd.MultiIndex.from_product([BY_TASK, TASKS])
    table = table.reindex(columns=columns).dropna(axis=1, how="all")
    table.columns = [f"{METRICS[metric]} {task}" for metric, task in table]
    return table.map(written).rename_axis([*ADDRESS, "rows"]).reset_index()


def models(tables: Path, published: dict[str, Any]) -> Markup:
    """What the report quotes of other models, and what was measured here: two tables."""
    quoted = published["models"]
    columns = ["feature", *quoted["columns"]]
    shown = {"What the report quotes": pd.DataFrame(quoted["rows"], columns=columns)}
    shown["Measured here"] = read_csv(tables / "models.csv").astype(object).fillna("")
    return html.tables(shown, LAYOUTS["models"]["lead"].format(source=quoted["source"]))


def differences(tables: Path) -> Markup:
    table = read_csv(tables / "differences.csv")
    table["cell"] = marks(table, marked, "difference", "low", "high")
    shown = {}
    for metric, own in table.groupby("metric", sort=False):
        pairs = own.pivot_table("cell", ["first", "second"], "task", aggfunc="first", sort=False)
        pairs = pairs.reindex(columns=["all", *TASKS]).astype(object).fillna("")
        shown[METRICS[metric]] = pairs.rename(columns={"all": "all tasks"}).reset_index()
    lead = LAYOUTS["differences"]["lead"].format(count=len(table), chance=len(table) / 20)
    return html.tables(shown, lead)


def equal_steps(tables: Path) -> Markup:
    table = read_csv(tables / "equal_steps.csv")
    steps = table[["smaller_steps", "larger_steps"]].round().astype(int)
    stopped = table.stopped_early.astype(str) + " of " + table.runs.astype(str)
    return html.tables(laid_out("equal_steps", table.assign(**steps, stopped_early=stopped)))


def runs(tables: Path) -> Markup:
    table = read_csv(tables / "runs.csv")
    table = table.assign(learning_rate=table.learning_rate.map(rate)).astype(str)
    shared = [name for name in SHARED if table[name].nunique() == 1]
    values = table[shared].iloc[0].rename_axis("what").rename("value").reset_index()
    shown = {"The same for all runs": values} if shared else {}
    return html.tables(shown | {"Runs": table.drop(columns=shared)})


def claims(tables: Path) -> Markup:
    table = read_csv(tables / "claims.csv").astype(object).fillna("")
    table["verdict"] = marks(table, verdict_tag, "kind", "verdict")
    return html.tables(laid_out("claims", table))


def verdict_tag(kind: str, verdict: str) -> Markup:
    """A verdict of claims.csv with what became of the claim as a coloured tag."""
    head, *tail = re.split("[:;] ", verdict, maxsplit=1)
    return Markup(" ").join([html.tag(head, VERDICTS.get(kind, "unsure")), *tail])


def agents(tables: Path, outcomes: Path, traces: Path, agents_recipe: str) -> Markup:
    scores, layout = read_csv(tables / "agents.csv"), LAYOUTS["agents"]
    scores["happens"] = scores.setup.map(layout["setups"])
    scores["databases"] = scores.split.map(layout["splits"])
    scores["minus"] = marks(scores, marked, "difference", "difference_low", "difference_high")
    asked = pd.read_parquet(outcomes)
    asked = asked[asked.setup == ALL_AGENTS].to_dict("records")
    questions = list(zip(asked, read_jsonl(traces), strict=True))
    return html.render(
        "agents.html",
        tables=laid_out("agents", scores),
        run=read_best(tables)[agents_recipe],
        worked=max(questions, key=_worth_showing),
        questions=questions,
        splits=layout["splits"],
    )


def _worth_showing(pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple:
    """A right answer in which every step could be read, of all agents, in several steps."""
    outcome, trace = pair
    agents = {step["agent"] for step in trace["steps"]}
    readable = not any(step["problem"] for step in trace["steps"])
    return outcome["verdict"] == "right", readable, len(agents), len(trace["steps"])


def read_best(tables: Path) -> dict[str, dict[str, Any]]:
    """Recipe -> its best run."""
    return read_json(tables / "best_runs.json")["recipes"]


def examples(
    tables: Path, examples: list[Path], train: list[Path], val: list[Path], test: Path | None
) -> Markup:
    """Experiment 4: what the best run of each recipe answers to a few rows, beside gold.

    Rows drawn from all rows may have been trained on, as in the report: each answer says where its
    run met the row. `train`, `val`: the rows of the runs behind `examples`, in their order.
    """
    columns = {name: ANSWERS[name] for name in SHOWN} | {"prediction": TEXT, "cut": FLAG}
    frames = []
    for path, trained, validated in zip(examples, train, val, strict=True):
        frame = read_table(path, columns).assign(recipe=path.stem, met="not used in this run")
        met = {"test row": test, "validation row": validated, "training row": trained}
        for words, file in met.items():
            rows = read_table(file, {"idx": ANSWERS["idx"]}).idx if file else []
            frame.loc[frame.idx.isin(rows), "met"] = words
        frames.append(frame)
    answers = pd.concat(frames)
    text = answers[["prediction", "gold", "gold_decoded"]].apply(lambda column: column.str.strip())
    answers["exact_match"] = text.prediction == text.gold
    answers["exact_match_decoded"] = text.prediction == text.gold_decoded
    answers["quality"] = quality(answers)
    parts = {
        words: [known(row) for _, row in answers[answers.split == split].groupby("idx", sort=False)]
        for split, words in PARTS.items()
        if (answers.split == split).any()
    }
    best = [read_best(tables)[path.stem] for path in examples]
    return html.render("examples.html", best=best, parts=parts, qualities=QUALITIES)


def predictions(tables: Path, answers: Path) -> Markup:
    """All answers on held-out rows, of the first seed, the recipes side by side."""
    collected = collect(read_table(answers, ANSWERS), read_best(tables))
    return html.render("predictions.html", data=collected)


def collect(answers: pd.DataFrame, best: dict[str, Any]) -> dict[str, Any]:
    """What the script of the page works on; a `row` or `schema` is a place in its list."""
    first = answers.groupby(ADDRESS).seed.transform("first")
    own = answers[answers.split.isin(HELD_OUT) & (answers.seed == first)].reset_index(drop=True)
    own = own.drop(columns="error").join(list_predictions(own)[["quality", "executed", "error"]])
    own["row"] = own.groupby(["split", "idx"], sort=False).ngroup()
    rows = own.drop_duplicates("row")
    places, schemas = pd.factorize(rows["schema"])
    rows = rows[SHOWN].assign(schema=pd.Series(places, rows.index).where(places >= 0))
    names = [*ADDRESS, "seed", "prediction", "quality", "executed", "error", "row"]
    return {
        "rows": known(rows),
        "schemas": list(schemas),
        "answers": known(own[names]),
        "best": {recipe: run["run"] for recipe, run in best.items()},
        "splits": [split for split in HELD_OUT if (own.split == split).any()],
        "tasks": TASKS,
        "qualities": QUALITIES,
    }
