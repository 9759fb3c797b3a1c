"""The comparison of models of the report's Annex II, with measured columns beside the quoted ones.

Quoted columns are the report's own; a measured column is the run of a recipe with the lowest
evaluation loss, its numbers the means over its seeds.
"""

from pathlib import Path
from statistics import fmean
from typing import Annotated

import pandas as pd

from workflow_scripts.artifacts.published import Published
from workflow_scripts.files import write_text
from workflow_scripts.report.look import PLAIN, Look
from workflow_scripts.report.pages import html
from workflow_scripts.report.runs import Run, best_runs, held_out, read_runs
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
Annex II of the report: the models it compares, quoted, with columns for what was measured here.

**How to read it.** A measured column is the run of a recipe with the lowest loss on its validation
rows, means over seeds. The quoted accuracies are execution accuracies of the whole loop of three
agents on public benchmarks, those measured here are of single answers on the data in hand: they are
not in competition.
"""

MEASURED = {
    "ROUGE-L, held-out rows": "rouge_l",
    "Exact match, held-out rows": "exact_match",
    "Execution accuracy, held-out rows (Decomposer, Refiner)": "execution_accuracy",
}


def comparison(runs: list[Run], published: Published, model: str) -> pd.DataFrame:
    """Features as rows; quoted models, then `model` fine-tuned under each recipe, as columns."""
    quoted = published.models
    frame = pd.DataFrame(quoted.rows, columns=["feature", *quoted.columns])
    frame = frame.set_index("feature")
    for recipe, seeds in best_runs(runs).items():
        run = seeds[0]
        column = f"{recipe}: {run.name}"
        provenance, settings = run.provenance, run.settings
        seconds = [other.provenance.seconds.get("train") for other in seeds]
        facts = {
            "Base architecture": f"T5, {model}",
            "Parameters": f"{provenance.model.parameters:,}",
            "Training data": f"{settings.rows} rows, {settings.sampling} mix of tasks"
            + _before(run),
            "Training method": "supervised multitask fine-tuning of all weights",
            "Training, seconds": "" if None in seconds else f"{fmean(seconds):.0f}" + _before(run),
            "Training device": f"{provenance.device.kind}, {provenance.device.precision}",
        }
        for label, metric in MEASURED.items():
            facts[label] = _mean_score(seeds, metric)
        frame = frame.reindex(frame.index.union(pd.Index(facts), sort=False))
        frame[column] = pd.Series(facts)
    return frame.fillna("").reset_index(names="feature")


def _before(run: Run) -> str:
    """What a run that doesn't start from the base model has behind it."""
    before = run.provenance.base.run
    return f", after {before} and what it started from" if before else ""


def _mean_score(seeds: list[Run], metric: str) -> str:
    split = held_out(score.split for score in seeds[0].scores)
    values = [value for run in seeds if (value := run.score(metric, split)) is not None]
    return f"{fmean(values):.1%} ({split})" if values else "not measured"


def models_page(frame: pd.DataFrame, published: Published, note: str) -> str:
    quoted = published.models.columns
    subheads = {
        column: "quoted" if column in quoted else "measured here" for column in frame.columns[1:]
    }
    rows = [
        [html.Markup(f"<strong>{html.escape(row[0])}</strong>"), *row[1:]]
        for row in frame.itertuples(index=False)
    ]
    lead = (
        '<p class="lead">Accuracies of the quoted models are execution accuracies of the whole '
        "MAC-SQL loop on BIRD and Spider; those measured here are of single answers on held-out "
        "rows of the data in hand. They must not be ranked against each other. "
        f"Source of the quoted columns: {html.escape(published.models.source)}.</p>"
    )
    table = html.table(list(frame.columns), rows, subheads)
    return html.page("Comparison of models (Annex II)", note, f"{lead}\n{table}")


def tabulate_models(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    published: Annotated[Path, Input("resources/published.json")],
    model: Annotated[str, Setting("name of the base model")],
    table: Annotated[Path, Output("models.csv")],
    page: Annotated[Path, Output("models.html")],
    look: Annotated[Look, Setting("small print")] = PLAIN,
) -> None:
    quoted = Published.read(published)
    frame = comparison(read_runs(runs), quoted, model)
    write_text(table, frame.to_csv(index=False, lineterminator="\n"))
    write_text(page, models_page(frame, quoted, look.note))


if __name__ == "__main__":
    run_stage(tabulate_models)
