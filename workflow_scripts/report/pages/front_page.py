"""The first page of the report: what this is, what was found, how to read the rest.

Writes reStructuredText with the measured numbers filled in; Snakemake puts it on the front of
results/report.html.
"""

import argparse
from collections import Counter
from typing import Any

import pandas as pd

from workflow_scripts.errors import run_cli
from workflow_scripts.files import read_json, write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.report.claims.evidence import CHOSEN
from workflow_scripts.report.claims.statements import SENTENCES
from workflow_scripts.report.claims.table import OPEN
from workflow_scripts.report.runs import held_out, ranked

TITLE = "Fine-Tuning On Essence: the report, reproduced and examined"
INTRODUCTION = """\
The report "Fine-Tuning On Essence" (2025) fine-tunes a T5 of 60 million parameters on rows of the
Agent-Instruct data set, so that one small model can play the three agents of MAC-SQL. The
**Selector** picks the tables and columns that a question needs, the **Decomposer** splits the
question and writes SQL, the **Refiner** repairs SQL that failed. This page is the front of a
pipeline that repeats the report's experiments, shows which of its results come from mistakes in
the procedure, and measures what is left once these are mended.
"""
RECIPES = {
    "as_run": "what the notebooks behind the report did, mistakes included",
    "as_written": "what the report describes, honestly executed: every run starts from the base "
    "model and is scored on its own rows",
    "repaired": "as written, and the text handling mended (A1, A2, A4, A5): same model, same rows",
}
READING = """\
The menu on the left follows the report. Choose a category, then the eye beside a result to see
it; the sign with the *i* gives the words that belong to it: what it shows, how to read it, and
what the report claimed. Every figure lies in ``results/figures`` as SVG and PNG, every table in
``results/tables``. Intervals are 95 % intervals; each table and caption says whether over seeds or
over rows. Curves and single answers are those of the first seed.
"""


def landing(
    summary: pd.DataFrame,
    means: pd.DataFrame,
    claims: pd.DataFrame,
    audits: list[dict[str, Any]],
    best: dict[str, Any],
    note: str,
) -> str:
    """The whole page; `means` is over_seeds.csv."""
    recipes = list(dict.fromkeys(summary["recipe"]))
    parts = [TITLE, "=" * len(TITLE), "", INTRODUCTION]
    if note:
        parts += [
            f"**What was measured here: {note}.** Data, model and sizes are not the report's, so "
            "numbers cannot be set against its own; what a procedure does to them can. Where a "
            "claim needs the real rows or model, it says so.",
            "",
        ]
    parts += _section("What was found")
    findings = [*_inputs(audits), *_scores(means, recipes), _choice(best), *_verdicts(claims)]
    parts += [f"- {finding}" for finding in findings] + [""]
    parts += _section("What was run")
    parts += [
        f"- **{name}**: {RECIPES.get(name, 'a recipe of this configuration')}; "
        f"{_runs(summary, name)}."
        for name in recipes
    ] + [""]
    parts += [*_section("How to read this report"), READING]
    parts += _section("The artefacts, A1 to A12")
    parts += [
        "Mistakes of the original procedure, as far as its text and its notebooks show. "
        "Tables and captions refer to them by number.",
        "",
    ]
    parts += [
        f"- **{each.id}** {each.title}. {each.happened} {each.follows}".rstrip()
        for each in artefacts().values()
    ]
    return "\n".join(parts) + "\n"


def _section(title: str) -> list[str]:
    return [title, "-" * len(title), ""]


def _inputs(audits: list[dict[str, Any]]) -> list[str]:
    sentences = []
    for audit in audits:
        rows, kept = audit["all"]["rows"], audit["all"]["question_kept"]
        inputs = ", ".join(
            f"{task} {audit['tasks'][task]['distinct_inputs']:,} of "
            f"{audit['tasks'][task]['rows']:,}"
            for task in TASKS
            if task in audit["tasks"]
        )
        sentences.append(
            f"Under **{audit['recipe']}** the model is shown the question of {kept:,} of {rows:,} "
            f"rows; distinct inputs left: {inputs}; answers that survive the tokenizer: "
            f"{audit['all']['targets_surviving']:,}."
        )
    return sentences


def _scores(means: pd.DataFrame, recipes: list[str]) -> list[str]:
    """Each recipe's run with the lowest evaluation loss, on held-out rows, by task."""
    sentences = []
    for recipe in recipes:
        own = means[means["recipe"] == recipe]
        losses = own[(own["metric"] == "eval_loss") & (own["task"] == "all")]
        executed = own[(own["metric"] == "execution_accuracy") & (own["task"] == "all")]
        own = own[own["metric"] == "exact_match"]
        split = held_out(own["split"])
        if losses.empty or own.empty:
            continue
        run = ranked(losses.groupby("run", sort=False)["mean"].agg(list), "eval_loss")[0].run
        chosen = own[(own["split"] == split) & (own["run"] == run)]
        by_task = chosen.set_index("task")["mean"]
        tasks = ", ".join(f"{task} {by_task[task]:.1%}" for task in TASKS if task in by_task)
        rows = "test rows, kept from all training" if split == "test" else "validation rows"
        returned = executed[(executed["split"] == split) & (executed["run"] == run)]["mean"]
        more = "; execution accuracy, Decomposer and Refiner: " if len(returned) else ""
        more += "".join(f"{value:.1%}" for value in returned)
        sentences.append(
            f"Exact match under **{recipe}** on {rows}: {by_task['all']:.1%} ({tasks}; "
            f"{run}, the run with the lowest loss on its validation rows){more}."
        )
    return sentences


def _choice(best: dict[str, Any]) -> str:
    names = [each["run"] for each in best["ranking"]]
    text = (
        f"By {best['metric'].replace('_', ' ')} on {best['split']} rows the best run of "
        f"**{best['recipe']}** is {best['run']} ({best['value']:.3f})"
    )
    if CHOSEN in names and best["run"] != CHOSEN:
        text += f"; the report's choice, {CHOSEN}, comes {names.index(CHOSEN) + 1} of {len(names)}"
    return text + "."


def _verdicts(claims: pd.DataFrame) -> list[str]:
    """One sentence on the claims in words, one on the numbers; the first line is no claim."""
    kinds = {"reproduced": "reproduced", OPEN: "open", "not reproduced": "not reproduced"}
    kinds |= {"artefact": "artefact", "not testable here": "not testable here"}
    verdicts = claims["verdict"].tolist()[1:]
    parts = {"claims in words": verdicts[: len(SENTENCES)], "numbers": verdicts[len(SENTENCES) :]}
    sentences = []
    for what, words in parts.items():
        found = Counter(next(kind for kind in kinds if word.startswith(kind)) for word in words)
        counts = ", ".join(f"{found[kind]} {name}" for kind, name in kinds.items() if found[kind])
        seeds = sum("needs several seeds" in word for word in words)
        why = f" ({seeds} for want of several seeds: ``configs/seeds.yaml``)" if seeds else ""
        sentences.append(f"Of the report's {len(words)} {what}: {counts}{why}.")
    return sentences


def _runs(summary: pd.DataFrame, recipe: str) -> str:
    own = summary[summary["recipe"] == recipe]
    seeds = int(own["seeds"].max())
    most = int(own["rows"].max())
    return f"{len(own)} runs, {seeds} seed{'s' * (seeds > 1)}, up to {most:,} rows each"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", required=True, help="results/tables")
    parser.add_argument("--fit", nargs="*", default=[], help="results/fit/<recipe>.json")
    parser.add_argument("--note", default="", help="small print: what the data and model are")
    parser.add_argument("--out", required=True, help="reStructuredText to write")
    args = parser.parse_args()
    tables = {
        name: pd.read_csv(f"{args.tables}/{name}.csv")
        for name in ("summary", "over_seeds", "claims")
    }
    text = landing(
        tables["summary"],
        tables["over_seeds"],
        tables["claims"],
        [read_json(path) for path in args.fit],
        read_json(f"{args.tables}/best_run.json"),
        args.note,
    )
    write_text(args.out, text)


if __name__ == "__main__":
    run_cli(main)
