"""The comparison of models of the report's Annex II, with measured columns beside the quoted ones.

Quoted columns are the report's own; a measured column is the run of a recipe with the lowest
evaluation loss, its numbers the means over its seeds.
"""

from pathlib import Path
from statistics import fmean
from typing import Annotated

from workflow_scripts.artifacts.csv import write_table
from workflow_scripts.artifacts.published import Published, QuotedModels
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run, best_runs, held_out
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
The models that Annex II of the report compares, and the best runs of this project beside them.

**How to read it.** A column *quoted* is copied from the report. A column *measured here* is the
best run of a recipe, the one with the lowest loss on its own validation rows, with means over
seeds. Quoted accuracies are of a whole system, measured ones of single answers: do not rank them.
"""

MEASURED = {
    "ROUGE-L, held-out rows": "rouge_l",
    "Exact match, held-out rows": "exact_match",
    "Execution accuracy, held-out rows (Decomposer, Refiner)": "execution_accuracy",
}
LEAD = html.Markup(
    "The quoted accuracies are execution accuracies of the three agents at work together, on the "
    "benchmarks BIRD and Spider. Those measured here are of single answers, on rows that the run "
    "was not trained on. They must not be ranked against each other. "
    "Source of the quoted columns: {}."
)
Columns = dict[str, dict[str, str]]  # name of a model -> feature -> text


def measured_columns(runs: list[Run], model: str) -> Columns:
    """The best run of each recipe; `model`: name of the base model."""
    return {
        f"{recipe}: {seeds[0].name}": _features(seeds, model)
        for recipe, seeds in best_runs(runs).items()
    }


def _features(seeds: list[Run], model: str) -> dict[str, str]:
    run = seeds[0]
    provenance, settings = run.provenance, run.settings
    before = provenance.base.run
    after = f", after {before} and what it started from" if before else ""
    seconds = [each.provenance.seconds.get("train") for each in seeds]
    return {
        "Base architecture": f"T5, {model}",
        "Parameters": f"{provenance.model.parameters:,}",
        "Training data": f"{settings.rows} rows, {settings.sampling} mix of tasks{after}",
        "Training method": "supervised multitask fine-tuning of all weights",
        "Training, seconds": "" if None in seconds else f"{fmean(seconds):.0f}{after}",
        "Training device": f"{provenance.device.kind}, {provenance.device.precision}",
        **{label: _mean_score(seeds, metric) for label, metric in MEASURED.items()},
    }


def _mean_score(seeds: list[Run], metric: str) -> str:
    split = held_out(score.split for score in seeds[0].scores)
    values = [value for run in seeds if (value := run.score(metric, split)) is not None]
    return f"{fmean(values):.1%} ({split})" if values else "not measured"


def comparison(quoted: QuotedModels, measured: Columns) -> list[list[str]]:
    """Lines of a feature and its text for each model, the quoted ones first."""
    lines = {feature: values for feature, *values in quoted.rows}
    features = dict.fromkeys([*lines, *(feature for each in measured.values() for feature in each)])
    unknown = [""] * len(quoted.columns)
    return [
        [feature, *lines.get(feature, unknown)]
        + [column.get(feature, "") for column in measured.values()]
        for feature in features
    ]


def tabulate_models(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    published: Annotated[Published, Input("resources/published.json")],
    model: Annotated[str, Setting("name of the base model")],
    table: Annotated[Path, Output("models.csv")],
) -> html.Page:
    quoted = published.models
    measured = measured_columns(runs, model)
    columns = ["feature", *quoted.columns, *measured]
    lines = comparison(quoted, measured)
    write_table(table, columns, lines)
    rows = [[html.Markup("<strong>{}</strong>").format(line[0]), *line[1:]] for line in lines]
    subheads = dict.fromkeys(quoted.columns, "quoted") | dict.fromkeys(measured, "measured here")
    shown = {"": html.Table(columns, rows, subheads)}
    return html.tables("Comparison of models (Annex II)", LEAD.format(quoted.source), shown)


if __name__ == "__main__":
    run_stage(tabulate_models, write_page)
