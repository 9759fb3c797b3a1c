"""The first page of the report: what this is, what was found, how to read the rest.

Writes reStructuredText with the measured numbers filled in; Snakemake puts it on the front of
results/report.html.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.claims import COLUMNS, ClaimLine, Claims, Column, Group, Kind
from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.published import Published
from workflow_scripts.artifacts.report import Mean, RunSummary
from workflow_scripts.artifacts.runs import BestRun
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.artefacts import artefacts, mended_in
from workflow_scripts.report.claims.verdicts import SEVERAL_SEEDS
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import held_out, ranked
from workflow_scripts.stage import Input, Output, Setting, run_stage

USES_FILES = ["templates/front_page.rst"]


def findings(
    means: list[Mean], claims: Claims, audits: list[FitAudit], best: BestRun, chosen: str
) -> list[str]:
    """What was found, a sentence each; `chosen` is the run that the report declares the best."""
    trained = dict.fromkeys(mean.recipe for mean in means)
    return [
        *map(_inputs, audits),
        *filter(None, (_scores(means, recipe) for recipe in trained)),
        _choice(best, chosen),
        *(_verdicts(group, lines) for group, lines in claims.by_group().items() if lines),
    ]


def _inputs(audit: FitAudit) -> str:
    inputs = ", ".join(
        f"{task} {audit.tasks[task].distinct_inputs:,} of {audit.tasks[task].rows:,}"
        for task in TASKS
        if task in audit.tasks
    )
    return (
        f"Under **{audit.recipe}** the model is shown the question of "
        f"{audit.all.question_kept:,} of {audit.all.rows:,} rows; distinct inputs left: {inputs}; "
        f"answers that survive the tokenizer: {audit.all.targets_surviving:,}."
    )


def _scores(means: list[Mean], recipe: str) -> str:
    """The recipe's run with the lowest evaluation loss, on held-out rows, by task."""
    own = [mean for mean in means if mean.recipe == recipe]
    losses = {
        mean.run: [mean.mean] for mean in own if (mean.metric, mean.task) == ("eval_loss", "all")
    }
    matches = [mean for mean in own if mean.metric == "exact_match"]
    if not losses or not matches:
        return ""
    run = ranked(losses, "eval_loss")[0].run
    split = held_out(mean.split for mean in matches)
    of_run = {
        (mean.metric, mean.task): mean.mean
        for mean in own
        if (mean.run, mean.split) == (run, split)
    }
    tasks = ", ".join(
        f"{task} {of_run['exact_match', task]:.1%}"
        for task in TASKS
        if ("exact_match", task) in of_run
    )
    rows = "test rows, kept from all training" if split == "test" else "validation rows"
    executed = of_run.get(("execution_accuracy", "all"))
    more = "" if executed is None else (
        f"; execution accuracy, Decomposer and Refiner: {executed:.1%}"
    )  # fmt: skip
    return (
        f"Exact match under **{recipe}** on {rows}: {of_run['exact_match', 'all']:.1%} ({tasks}; "
        f"{run}, the run with the lowest loss on its validation rows){more}."
    )


def _choice(best: BestRun, chosen: str) -> str:
    names = [each.run for each in best.ranking]
    text = (
        f"By {best.metric.replace('_', ' ')} on {best.split} rows the best run of "
        f"**{best.recipe}** is {best.run} ({best.value:.3f})"
    )
    if chosen in names and best.run != chosen:
        text += f"; the report's choice, {chosen}, comes {names.index(chosen) + 1} of {len(names)}"
    return f"{text}."


def _verdicts(group: Group, lines: list[ClaimLine]) -> str:
    found = Counter(line.verdict.kind for line in lines)
    counts = ", ".join(f"{found[kind]} {kind}" for kind in Kind if found[kind])
    seeds = sum(SEVERAL_SEEDS in line.verdict.missing for line in lines)
    why = f" ({seeds} for want of several seeds: ``configs/seeds.yaml``)" if seeds else ""
    return f"{group}: {len(lines)}, of which {counts}{why}."


def _recipe(name: str, recipes: dict[Column, str], summaries: list[RunSummary]) -> str:
    column = next((each for each in COLUMNS if recipes[each] == name), None)
    own = [summary for summary in summaries if summary.recipe == name]
    seeds = max(summary.seeds for summary in own)
    rows = max(summary.rows for summary in own)
    return (
        f"**{name}**: {_described(column)}; "
        f"{len(own)} runs, {seeds} seed{'s' * (seeds > 1)}, up to {rows:,} rows each."
    )


def _described(column: Column | None) -> str:
    match column:
        case "as_run":
            return "what the notebooks behind the report did, mistakes included"
        case "as_written":
            return (
                "what the report describes, honestly executed: every run starts from the base "
                "model and is scored on its own rows"
            )
        case "repaired":
            mended = ", ".join(mended_in(column))
            return f"as written, and the text handling mended ({mended}): same model, same rows"
    return "a recipe of this configuration"


def write_front_page(
    summary: Annotated[Path, Input("summary.csv")],
    means: Annotated[Path, Input("over_seeds.csv")],
    claims: Annotated[Claims, Input("claims.json")],
    best: Annotated[BestRun, Input("best_run.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    published: Annotated[Published, Input("resources/published.json: the report's choice")],
    recipes: Annotated[dict[Column, str], Setting("the recipe of each column of the claims")],
    page: Annotated[Path, Output("reStructuredText")],
    note: Annotated[str, Setting("small print")] = "",
) -> None:
    summaries = read_csv(RunSummary, summary)
    trained = dict.fromkeys(each.recipe for each in summaries)
    values = {
        "findings": findings(read_csv(Mean, means), claims, fit, best, published.chosen),
        "runs": [_recipe(name, recipes, summaries) for name in trained],
        "artefacts": artefacts(),
    }
    write_text(page, html.render(html.Page("", values, "front_page.rst"), note))


if __name__ == "__main__":
    run_stage(write_front_page)
