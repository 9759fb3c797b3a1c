"""The tables of results/ as people read them: the inside of the sections of results/report.html."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from workflow_scripts.artifacts.published import Published
from workflow_scripts.files import read_json, read_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report import html
from workflow_scripts.report.claims.evidence import COLUMNS
from workflow_scripts.report.claims.verdict import ARTEFACT, NOT_REPRODUCED, REPRODUCED
from workflow_scripts.report.html import Name, Number, Table, marked, number
from workflow_scripts.report.means import ADDRESS, TEST_SPLITS
from workflow_scripts.report.models import ALL_AGENTS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.tabulate import COMPARED, HELD_OUT, quality
from workflow_scripts.tables import ANSWERS, FLAG, TEXT, read_csv, read_table

QUALITIES = {"exact": "good", "exact as decoded": "unsure", "cut off": "bad", "different": "bad"}
SPLIT_WORDS = {
    "test": "Databases that training rows ask of",
    "unseen": "Databases that no run has seen",
    "other": "Rows of another file",
}
SUMMARY_HEADS = {
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
    published: Published
    examples: dict[str, tuple[Path, Path, Path]]
    test: Path | None = None
    outcomes: Path | None = None
    traces: Path | None = None
    agents_recipe: str = ""

    def table(self, name: str) -> pd.DataFrame:
        return read_csv(self.tables / f"{name}.csv")

    def best(self) -> dict[str, Any]:
        return read_json(self.tables / "best_runs.json")["recipes"]


def summary(sources: Sources) -> Markup:
    table, means = sources.table("summary"), sources.table("over_seeds")
    heads = {
        column: next(
            f"{words}{f', {split}' * bool(split)}"
            for metric, words in SUMMARY_HEADS.items()
            for split in ("", *HELD_OUT)
            if column == (f"{metric}_{split}" if split else metric)
        )
        for column in table
        if column not in ("recipe", "run", "sampling", "rows", "batch_size", "learning_rate")
        and column not in ("seeds", "epochs_done", "best_epoch")
        and not column.endswith(("_low", "_high"))
    }
    columns = ["run", "sampling", "batch", "learning rate", "seeds", "epochs", "best epoch"]

    def cells(line: pd.Series) -> list[Any]:
        plain = [Name(line.run), line.sampling, line.batch_size, Number(rate(line.learning_rate))]
        plain += [line.seeds, line.epochs_done, line.best_epoch]
        return plain + [
            number(line[name], line.get(f"{name}_low"), line.get(f"{name}_high")) for name in heads
        ]

    shown = {
        recipe: Table([*columns, *heads.values()], [cells(line) for _, line in lines.iterrows()])
        for recipe, lines in table.groupby("recipe", sort=False)
    }
    shown["By task, on rows that were kept from all training"] = _by_task(means)
    return html.tables("", shown)


def _by_task(means: pd.DataFrame) -> Table:
    """A line for each run and split of test rows; validation rows where there are no others."""
    splits = [split for split in TEST_SPLITS if (means.split == split).any()] or ["val"]
    own = means[means.split.isin(splits) & means.metric.isin(BY_TASK) & means.task.isin(TASKS)]
    table = own.pivot_table(index=[*ADDRESS, "split"], columns=["metric", "task"], values="mean",
                            sort=False)  # fmt: skip
    columns = [(metric, task) for metric in BY_TASK for task in TASKS]
    table = table.reindex(columns=[each for each in columns if each in table])
    rows = [[*map(Name, line.Index), *map(number, line[1:])] for line in table.itertuples()]
    heads = [f"{BY_TASK[metric]} {task}" for metric, task in table.columns]
    return Table(["recipe", "run", "rows", *heads], rows)


def models(sources: Sources) -> Markup:
    """What the report quotes of other models, and what was measured here: two tables."""
    quoted, measured = sources.published.models, sources.table("models").astype(object).fillna("")
    return html.tables(
        Markup(
            "Quoted accuracies are execution accuracies of the three agents at work together, on "
            "the benchmarks BIRD and Spider. Those measured here are of other questions, so they "
            "must not be ranked against each other. Source of the quoted numbers: {}."
        ).format(quoted.source),
        {
            "What the report quotes": Table(["feature", *quoted.columns], quoted.rows),
            "Measured here": Table(list(measured), measured.to_numpy().tolist()),
        },
    )


def differences(sources: Sources) -> Markup:
    table = sources.table("differences")
    shown = {}
    for metric, words in COMPARED.items():
        own = table[table.metric == metric]
        if own.empty:
            continue
        cells = own.assign(
            cell=[marked(line.difference, line.low, line.high) for line in own.itertuples()]
        ).pivot_table(index=["first", "second"], columns="task", values="cell", aggfunc="first",
                      sort=False)  # fmt: skip
        cells = cells.reindex(columns=["all", *TASKS]).astype(object).fillna("")
        rows = [[*line.Index, *line[1:]] for line in cells.itertuples()]
        shown[words] = Table(["first", "second", "all tasks", *TASKS], rows)
    return html.tables("", shown)


def equal_steps(sources: Sources) -> Markup:
    heads = ["learning rate", "compared", "batch", "steps", "eval loss", "batch", "steps"]
    heads += ["eval loss", "larger - smaller", "converged"]

    def cells(line: pd.Series) -> list[Any]:
        sides = [
            cell
            for side in ("smaller", "larger")
            for cell in (
                line[side],
                Number(f"{line[f'{side}_steps']:.0f}"),
                number(*(line[f"{side}_{name}"] for name in ("loss", "low", "high"))),
            )
        ]
        difference = number(line.difference, line.low, line.high)
        converged = Number(f"{line.converged} of {line.runs}")
        return [Number(line.learning_rate), line.compared, *sides, difference, converged]

    return html.tables(
        "",
        {
            recipe: Table(heads, [cells(line) for _, line in lines.iterrows()])
            for recipe, lines in sources.table("equal_steps").groupby("recipe", sort=False)
        },
    )


def runs(sources: Sources) -> Markup:
    table = sources.table("runs").astype(str)
    shared = [name for name in SHARED if table[name].nunique() == 1]
    shown = {}
    if shared:
        shown["The same for all runs"] = Table(
            ["what", "value"], [[name, table[name].iloc[0]] for name in shared]
        )
    own = table.drop(columns=shared)
    shown["Runs"] = Table(list(own), [list(map(Name, line)) for line in own.to_numpy()])
    return html.tables("", shown)


def claims(sources: Sources) -> Markup:
    """One table for each group of claims that has lines."""
    table = sources.table("claims").astype(object).fillna("")
    heads = ["claim", "published", *(column.replace("_", " ") for column in COLUMNS), "verdict"]
    return html.tables(
        "",
        {
            group: Table(
                heads,
                [
                    [*(line[name] for name in ("claim", "published", *COLUMNS)), verdict_tag(line)]
                    for _, line in lines.iterrows()
                ],
            )
            for group, lines in table.groupby("group", sort=False)
        },
    )


def verdict_tag(line: pd.Series) -> Markup:
    """A verdict of claims.csv with what became of the claim as a coloured tag."""
    colours = {REPRODUCED: "good", ARTEFACT: "bad", NOT_REPRODUCED: "bad"}
    head, _, tail = line.verdict.partition(": ") if ": " in line.verdict.split(";")[0] else (
        line.verdict.partition("; ")
    )  # fmt: skip
    tag = html.tag(head, colours.get(line.kind, "unsure"))
    return Markup("{} {}").format(tag, tail) if tail else tag


def agents(sources: Sources) -> Markup:
    scores = sources.table("agents")
    heads = ["agents", "what happens", "questions", "execution accuracy", "minus all agents"]

    def cells(line: pd.Series) -> list[Any]:
        paired = marked(line.difference, line.difference_low, line.difference_high)
        accuracy = number(line.value, line.low, line.high)
        words = SETUPS[line.setup]
        return [Name(line.setup), words, line.n, accuracy, paired, line.selected, line.repairs]

    outcomes = pd.read_parquet(sources.outcomes)
    together = outcomes[outcomes.setup == ALL_AGENTS].to_dict("records")
    questions = list(zip(together, read_jsonl(sources.traces), strict=True))
    run = sources.best()[sources.agents_recipe]
    return html.render(
        "agents.html",
        lead=f"The agents are the run {run['run']} of the recipe {run['recipe']}, seed "
        f"{run['seed']}. Intervals are 95% intervals over questions.",
        tables={
            SPLIT_WORDS[split]: Table(
                [*heads, "Selector asked", "repairs"], [cells(line) for _, line in own.iterrows()]
            )
            for split, own in scores.groupby("split", sort=False)
        },
        questions={
            words: [pair for pair in questions if pair[0]["split"] == split]
            for split, words in SPLIT_WORDS.items()
        },
        tag=lambda outcome: html.tag(
            outcome["verdict"], "good" if outcome["verdict"] == "right" else "bad"
        ),
    )


SHOWN = {name: ANSWERS[name] for name in ("split", "idx", "task", "db_id", "question", "gold")}
SHOWN |= {"gold_decoded": TEXT, "prediction": TEXT, "cut": FLAG}
PARTS = {"test": "Test rows", "val": "Rows drawn from all rows, as in the report"}


def examples(sources: Sources) -> Markup:
    """Experiment 4: what the best run of each recipe answers to a few rows, beside gold.

    Rows drawn from all rows may have been trained on, as in the report: each answer says where its
    run met the row.
    """
    parts: dict[str, dict[int, dict[str, Any]]] = {words: {} for words in PARTS.values()}
    test = set(read_table(sources.test, {"idx": ANSWERS["idx"]}).idx) if sources.test else set()
    for recipe, (answers, train, val) in sources.examples.items():
        trained, validated = (
            set(read_table(path, {"idx": ANSWERS["idx"]}).idx) for path in (train, val)
        )
        for answer in read_table(answers, SHOWN).to_dict("records"):
            idx = answer["idx"]
            met = {"training row": trained, "validation row": validated, "test row": test}
            where = [words for words, rows in met.items() if idx in rows]
            word = _quality_of(answer)
            shown = {"recipe": recipe, "met": where[-1] if where else "not used in this run"}
            shown |= {"quality": html.tag(word, QUALITIES[word]), "text": answer["prediction"]}
            rows = parts[PARTS[answer["split"]]]
            rows.setdefault(idx, {**_known(answer), "answers": []})["answers"].append(shown)
    best = sources.best()
    return html.render(
        "examples.html",
        best=[best[recipe] for recipe in sources.examples],
        parts={words: list(rows.values()) for words, rows in parts.items() if rows},
    )


def _known(answer: dict[str, Any]) -> dict[str, Any]:
    """The same with None for what is missing."""
    return {key: None if pd.isna(value) else value for key, value in answer.items()}


def _quality_of(answer: dict[str, Any]) -> str:
    pairs = {"exact_match": "gold", "exact_match_decoded": "gold_decoded"}
    line = answer | {
        metric: float(answer["prediction"].strip() == answer[name].strip())
        for metric, name in pairs.items()
    }
    return quality(pd.DataFrame([line])).iloc[0]


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
    own = answers[answers.split.isin(HELD_OUT) & (answers.seed == first)]
    own = own.assign(quality=quality(own), executed=own.verdict.where(own.task != "Selector"))
    own["error"] = own.error.where(own.executed.notna())
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    schemas: dict[str, int] = {}
    shown = []
    for answer in map(_known, own.to_dict("records")):
        key, schema = (answer["split"], answer["idx"]), answer["schema"]
        if key not in rows:
            row = {name: answer[name] for name in SHOWN if name not in ("prediction", "cut")}
            row["schema"] = schema and schemas.setdefault(schema, len(schemas))
            rows[key] = row | {"place": len(rows)}
        names = ("recipe", "run", "seed", "prediction", "quality", "executed", "error")
        shown.append({name: answer[name] for name in names} | {"row": rows[key]["place"]})
    return {
        "rows": list(rows.values()),
        "schemas": list(schemas),
        "answers": shown,
        "best": {recipe: run["run"] for recipe, run in best.items()},
        "runs": own.run.unique().tolist(),
        "recipes": own.recipe.unique().tolist(),
        "splits": [split for split in HELD_OUT if (own.split == split).any()],
        "tasks": TASKS,
        "qualities": QUALITIES,
        "executed": sorted(own.executed.dropna().unique()),
    }


SECTIONS: dict[str, Callable[[Sources], Markup]] = {
    "summary": summary,
    "models": models,
    "differences": differences,
    "equal_steps": equal_steps,
    "runs": runs,
    "claims": claims,
    "agents": agents,
    "examples": examples,
    "predictions": predictions,
}
