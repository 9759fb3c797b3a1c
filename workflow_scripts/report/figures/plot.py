"""All figures of the report, each drawn by the function draw_<kind> of the modules beside this one.

A function's parameters name the tables that it is drawn from: those of `Sources`.
"""

import inspect
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure

from workflow_scripts.report import frames
from workflow_scripts.report.figures import ablation, data, losses, scores
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, SCORES, TEXT, read_csv, read_table
from workflow_scripts.text.audit import FitAudit

DRAW = {
    name.removeprefix("draw_"): function
    for module in (ablation, data, losses, scores)
    for name, function in vars(module).items()
    if name.startswith("draw_")
}


class Sources:
    """What figures are drawn from, read when it is asked for; `runs` to `starts`: of its runs."""

    def __init__(self, files: dict[str, Any], figure: dict[str, Any]):
        self.files, self.figure = files, figure
        self.folders = [Path(folder) for folder in figure.get("runs", [])]

    runs = cached_property(lambda self: frames.read_runs(self.folders))
    epochs = cached_property(lambda self: frames.read_epochs(self.folders).query("task == 'all'"))
    steps = cached_property(lambda self: frames.read_steps(self.folders))
    starts = cached_property(lambda self: [frames.starts_from(each) for each in self.folders])
    tasks = cached_property(lambda self: read_table(self.files["rows"], {"task": TEXT}).task)
    fit = cached_property(lambda self: self.files["fit"])
    cuts = cached_property(lambda self: self.files["cuts"])
    published = cached_property(lambda self: self.files["published"])
    answers = cached_property(lambda self: read_table(self.files["answers"], scores.JUDGED))
    numbers = cached_property(lambda self: read_table(self.files["scores"], SCORES))
    agents = cached_property(lambda self: read_csv(self.files["agents"]))
    effects = cached_property(lambda self: read_csv(self.files["ablation"]))

    @cached_property
    def lengths(self) -> pd.DataFrame:
        columns = {"task": TEXT, **dict.fromkeys(data.LENGTHS, COUNT)}
        return read_table(self.files["lengths"], columns)

    @cached_property
    def quoted(self) -> dict[str, Any]:
        """The published runs, where their losses compare with the figure's."""
        return self.published["runs"] if self.figure.get("published") else {}

    @cached_property
    def task_orders(self) -> list[list[str]]:
        """The tasks of each run's training rows, in the order of the file."""
        return [read_table(path, {"task": TEXT}).task.tolist() for path in self.figure["rows"]]


def draw(figure: dict[str, Any], files: dict[str, Any]) -> Figure:
    function, sources = DRAW[figure["kind"]], Sources(files, figure)
    return function(
        **{name: getattr(sources, name) for name in inspect.signature(function).parameters}
    )


def plot(
    figures: Annotated[
        dict,
        Setting('JSON, name -> what is drawn: {"mine": {"kind": "losses", "runs": [FOLDERS]}}'),
    ],
    pictures: Annotated[list[Path], Output("<name>.svg and <name>.png of each figure")],
    rows: Annotated[Path, Input("results/data/rows.parquet")],
    lengths: Annotated[Path, Input("results/data/lengths.parquet")],
    fit: Annotated[list[FitAudit], Input("results/fit/<recipe>.json of each recipe")],
    answers: Annotated[Path, Input("answers.parquet")],
    scores: Annotated[Path, Input("scores.parquet")],
    published: Annotated[dict, Input("resources/published.json")],
    cuts: Annotated[dict, Setting('where recipes cut: {"as_written": {"source_tokens": 512}}')],
    agents: Annotated[Path | None, Input("agents.csv, where agents were evaluated")] = None,
) -> None:
    files = {"rows": rows, "lengths": lengths, "fit": fit, "answers": answers, "scores": scores,
             "published": published, "cuts": cuts, "agents": agents}  # fmt: skip
    paths = {path.name: path for path in pictures}
    for name, figure in figures.items():
        svg, png = (paths[f"{name}.{kind}"] for kind in ("svg", "png"))
        look = {key: figure[key] for key in ("note", "style") if key in figure}
        save_figure(lambda figure=figure: draw(figure, files), svg, png, **look)


if __name__ == "__main__":
    run_stage(plot)
