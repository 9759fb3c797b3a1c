"""The tables of results/ as people read them: the inside of the sections of results/report.html."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from workflow_scripts.files import read_json, read_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report import html
from workflow_scripts.report.claims import ARTEFACT, COLUMNS, NOT_REPRODUCED, REPRODUCED
from workflow_scripts.report.html import marked
from workflow_scripts.report.means import ADDRESS, TEST_SPLITS, rate, written
from workflow_scripts.report.models import ALL_AGENTS
from workflow_scripts.report.tabulate import COMPARED, HELD_OUT, SUMMARISED, quality
from workflow_scripts.tables import ANSWERS, FLAG, TEXT, read_csv, read_table

QUALITIES = {"exact": "good", "exact as decoded": "unsure", "cut off": "bad", "different": "bad"}
SPLIT_WORDS = {
    "test": "Databases that training rows ask of",
    "unseen": "Databases that no run has seen",
    "other": "Rows of another file",
}
WORDS = {  # of metrics
    "eval_loss": "eval loss",
    "loss_per_token": "loss per token",
    "rouge_l": "ROUGE-L",
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match possible",
    "execution_accuracy": "execution accuracy (Decomposer and Refiner)",
}
BY_TASK = {
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match possible",
    "answer_in_training": "answer also in training rows",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
}
SETUPS = {
    ALL_AGENTS: "Selector (if the schema is large), Decomposer, Refiner (if SQL fails)",
    "without Selector": "every agent sees the whole schema",
    "without Decomposer": "SQL for the question itself, without sub-questions",
    "without Refiner": "what fails stays as it is",
    "gold Selector": "the schema as the row's own prompt shows it",
    "gold Decomposer": "gold SQL; the Refiner is asked where it returns no row, or a NULL",
    "broken gold": "the Refiner alone, on gold SQL that was broken",
}
SHARED = ("lock", "commit", "versions", "device")  # shown once where all runs have the same


@dataclass(frozen=True)
class Sources:
    """The files behind the sections; those that this configuration does not make are None.

    `examples`: recipe -> its answers to the rows of experiment 4, then the rows that its best run
    was trained and validated on.
    """

    tables: Path
    answers: Path
    published: dict[str, Any]
    examples: dict[str, tuple[Path, Path, Path]]
    test: Path | None = None
    outcomes: Path | None = None
    traces: Path | None = None
    agents_recipe: str = ""

    def table(self, name: str) -> pd.DataFrame:
        return read_csv(self.tables / f"{name}.csv")

    def best(self) -> dict[str, Any]:
        return read_json(self.tables / "best_runs.json")["recipes"]


def intervals(table: pd.DataFrame, value: str, low: str = "low", high: str = "high") -> list[str]:
    """A column of numbers with their intervals, where the table has those."""
    limits = table.reindex(columns=[value, low, high])
    return [written(*line) for line in limits.itertuples(index=False)]


def marks(cells: Iterable[str]) -> pd.Series:
    """A column of `Markup`, which a column of texts would turn into text."""
    return pd.Series(list(cells), dtype=object)


def by_recipe(table: pd.DataFrame, source: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return dict(list(table.groupby(source.recipe, sort=False)))


def summary(sources: Sources) -> Markup:
    table = sources.table("summary")
    shown = table[["run", "sampling"]].assign(batch=table.batch_size)
    shown["learning rate"] = table.learning_rate.map(rate)
    shown = shown.assign(seeds=table.seeds, epochs=table.epochs_done)
    shown["best epoch"] = table.best_epoch
    for name, (metric, split) in SUMMARISED.items():
        if name in table:
            words = WORDS[metric] if name == metric else f"{WORDS[metric]}, {split}"
            shown[words] = intervals(table, name, f"{name}_low", f"{name}_high")
    by_task = {"By task, on rows that were kept from all training": _by_task(sources)}
    return html.tables(by_recipe(shown, table) | by_task)


def _by_task(sources: Sources) -> pd.DataFrame:
    """A line for each run and split of test rows; validation rows where there are no others."""
    means = sources.table("over_seeds")
    splits = [split for split in TEST_SPLITS if (means.split == split).any()] or ["val"]
    own = means[means.split.isin(splits) & means.metric.isin(BY_TASK) & means.task.isin(TASKS)]
    table = own.pivot_table(
        index=[*ADDRESS, "split"], columns=["metric", "task"], values="mean", sort=False
    ).map(written)
    columns = [(metric, task) for metric in BY_TASK for task in TASKS]
    table = table[[each for each in columns if each in table]]
    table.columns = [f"{BY_TASK[metric]} {task}" for metric, task in table.columns]
    return table.rename_axis([*ADDRESS, "rows"]).reset_index()


def models(sources: Sources) -> Markup:
    """What the report quotes of other models, and what was measured here: two tables."""
    quoted, measured = sources.published["models"], sources.table("models")
    return html.tables(
        {
            "What the report quotes": pd.DataFrame(
                quoted["rows"], columns=["feature", *quoted["columns"]]
            ),
            "Measured here": measured.astype(object).fillna(""),
        },
        "Quoted accuracies are execution accuracies of the three agents at work together, on the "
        "benchmarks BIRD and Spider. Those measured here are of other questions, so they must not "
        f"be ranked against each other. Source of the quoted numbers: {quoted['source']}.",
    )


def differences(sources: Sources) -> Markup:
    table = sources.table("differences")
    limits = table[["difference", "low", "high"]].to_numpy()
    table = table.assign(cell=marks(marked(*line) for line in limits))
    shown = {}
    for metric, words in COMPARED.items():
        own = table[table.metric == metric]
        if len(own):
            keys = {"index": ["first", "second"], "columns": "task", "values": "cell"}
            pairs = own.pivot_table(**keys, aggfunc="first", sort=False)
            pairs = pairs.reindex(columns=["all", *TASKS])
            pairs = pairs.astype(object).fillna("").rename(columns={"all": "all tasks"})
            shown[words] = pairs.reset_index()
    chance = f"{len(table)} differences: some {len(table) / 20:.0f} may be marked by chance alone."
    return html.tables(shown, chance)


def equal_steps(sources: Sources) -> Markup:
    table = sources.table("equal_steps")
    if table.empty:
        return html.tables({})
    shown = table[["learning_rate", "compared"]].rename(columns={"learning_rate": "learning rate"})
    for side in ("smaller", "larger"):
        shown[f"{side} batch"] = table[side]
        shown[f"steps, {side}"] = table[f"{side}_steps"].round().astype(int)
        names = (f"{side}_{name}" for name in ("loss", "low", "high"))
        shown[f"eval loss, {side}"] = intervals(table, *names)
    shown["larger - smaller"] = intervals(table, "difference")
    shown["converged"] = [f"{line.converged} of {line.runs}" for line in table.itertuples()]
    return html.tables(by_recipe(shown, table))


def runs(sources: Sources) -> Markup:
    table = sources.table("runs")
    table = table.assign(learning_rate=table.learning_rate.map(rate)).astype(str)
    shared = [name for name in SHARED if table[name].nunique() == 1]
    shown = {}
    if shared:
        values = table[shared].iloc[0].rename_axis("what").rename("value")
        shown["The same for all runs"] = values.reset_index()
    return html.tables(shown | {"Runs": table.drop(columns=shared)})


def claims(sources: Sources) -> Markup:
    """One table for each group of claims that has lines."""
    table = sources.table("claims").astype(object).fillna("")
    table["verdict"] = marks(verdict_tag(line) for line in table.itertuples())
    shown = table[["claim", "published", *COLUMNS, "verdict", "scale"]]
    shown = shown.rename(columns=lambda name: name.replace("_", " "))
    return html.tables(dict(list(shown.groupby(table.group, sort=False))))


def verdict_tag(line: Any) -> Markup:
    """A verdict of claims.csv with what became of the claim as a coloured tag."""
    colours = {REPRODUCED: "good", ARTEFACT: "bad", NOT_REPRODUCED: "bad"}
    head, *tail = re.split("[:;] ", line.verdict, maxsplit=1)
    return Markup(" ").join([html.tag(head, colours.get(line.kind, "unsure")), *tail])


def agents(sources: Sources) -> Markup:
    scores, run = sources.table("agents"), sources.best()[sources.agents_recipe]
    paired = scores[["difference", "difference_low", "difference_high"]].to_numpy()
    shown = pd.DataFrame(
        {
            "agents": scores.setup,
            "what happens": scores.setup.map(SETUPS),
            "questions": scores.n,
            "execution accuracy": intervals(scores, "value"),
            "minus all agents": marks(marked(*line) for line in paired),
            "Selector asked": scores.selected,
            "repairs": scores.repairs,
        }
    )
    outcomes = pd.read_parquet(sources.outcomes)
    together = outcomes[outcomes.setup == ALL_AGENTS].to_dict("records")
    questions = list(zip(together, read_jsonl(sources.traces), strict=True))
    return html.render(
        "agents.html",
        lead=f"The agents are the run {run['run']} of the recipe {run['recipe']}, seed "
        f"{run['seed']}. Intervals are 95% intervals over questions, or databases.",
        tables=dict(list(shown.groupby(scores.split.map(SPLIT_WORDS), sort=False))),
        worked=max(questions, key=_worth_showing),
        questions={
            words: [pair for pair in questions if pair[0]["split"] == split]
            for split, words in SPLIT_WORDS.items()
        },
        tag=lambda outcome: html.tag(
            outcome["verdict"], "good" if outcome["verdict"] == "right" else "bad"
        ),
    )


def _worth_showing(pair: tuple[dict[str, Any], dict[str, Any]]) -> tuple:
    """A right answer in which every step could be read, of all agents, in several steps."""
    outcome, trace = pair
    agents = {step["agent"] for step in trace["steps"]}
    readable = not any(step["problem"] for step in trace["steps"])
    return outcome["verdict"] == "right", readable, len(agents), len(trace["steps"])


PARTS = {"test": "Test rows", "val": "Rows drawn from all rows, as in the report"}
SHOWN = ("split", "idx", "task", "db_id", "question", "gold", "gold_decoded")  # of a row


def examples(sources: Sources) -> Markup:
    """Experiment 4: what the best run of each recipe answers to a few rows, beside gold.

    Rows drawn from all rows may have been trained on, as in the report: each answer says where its
    run met the row.
    """
    columns = {name: ANSWERS[name] for name in SHOWN} | {"prediction": TEXT, "cut": FLAG}

    def numbers_in(path: Path) -> set[int]:
        return set(read_table(path, {"idx": ANSWERS["idx"]}).idx)

    test = numbers_in(sources.test) if sources.test else set()
    parts: dict[str, dict[int, dict[str, Any]]] = {words: {} for words in PARTS.values()}
    for recipe, (path, train, val) in sources.examples.items():
        met = {"training row": numbers_in(train), "validation row": numbers_in(val)}
        met["test row"] = test
        answers = read_table(path, columns)
        text, decoded = answers.prediction.str.strip(), answers.gold_decoded.str.strip()
        answers = answers.assign(
            exact_match=text == answers.gold.str.strip(), exact_match_decoded=text == decoded
        )
        answers["quality"] = quality(answers)
        for answer in known(answers):
            where = (words for words, rows in met.items() if answer["idx"] in rows)
            shown = {"recipe": recipe, "met": next(where, "not used in this run")}
            shown["quality"] = html.tag(answer["quality"], QUALITIES[answer["quality"]])
            rows = parts[PARTS[answer["split"]]]
            row = rows.setdefault(answer["idx"], {**answer, "answers": []})
            row["answers"].append(shown | {"text": answer["prediction"]})
    best = sources.best()
    return html.render(
        "examples.html",
        best=[best[recipe] for recipe in sources.examples],
        parts={words: list(rows.values()) for words, rows in parts.items() if rows},
    )


def known(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def predictions(sources: Sources) -> Markup:
    """All answers on held-out rows, a row once with the answers of all recipes side by side.

    Of several seeds the first is shown. Questions, gold and schemas are stored once.
    """
    answers = read_table(sources.answers, ANSWERS)
    return html.render("predictions.html", data=collect(answers, sources.best()))


def collect(answers: pd.DataFrame, best: dict[str, Any]) -> dict[str, Any]:
    """What the script of the page works on: rows and schemas once, and its menus.

    An answer's `row` is its place among the rows, a row's `schema` its place among the schemas.
    """
    first = answers.groupby(ADDRESS).seed.transform("first")
    own = answers[answers.split.isin(HELD_OUT) & (answers.seed == first)].reset_index(drop=True)
    own = own.assign(quality=quality(own), executed=own.verdict.where(own.task != "Selector"))
    own["error"] = own.error.where(own.executed.notna())
    own["row"] = own.groupby(["split", "idx"], sort=False).ngroup()
    rows = own.drop_duplicates("row")[list(SHOWN)]
    places, schemas = pd.factorize(own.drop_duplicates("row")["schema"])
    rows["schema"] = [None if place < 0 else int(place) for place in places]
    names = [*ADDRESS, "seed", "prediction", "quality", "executed", "error", "row"]
    return {
        "rows": known(rows),
        "schemas": list(schemas),
        "answers": known(own[names]),
        "best": {recipe: run["run"] for recipe, run in best.items()},
        "runs": own.run.unique().tolist(),
        "recipes": own.recipe.unique().tolist(),
        "splits": [split for split in HELD_OUT if (own.split == split).any()],
        "tasks": TASKS,
        "qualities": QUALITIES,
        "executed": sorted(own.executed.dropna().unique()),
    }


SECTIONS: dict[str, Callable[[Sources], Markup]] = {
    each.__name__: each
    for each in (
        *(summary, models, differences, equal_steps, runs),
        *(claims, agents, examples, predictions),
    )
}
