"""All figures of the report, each drawn by the function draw_<kind> of the modules beside this one.

A function's parameters name what it is drawn from: inputs of `plot`, or tables that `draw` reads.
"""

import inspect
from pathlib import Path
from typing import Annotated, Any

from matplotlib.figure import Figure

from workflow_scripts.report import frames
from workflow_scripts.report.figures import data, losses, scores
from workflow_scripts.report.figures.style import save_figure
from workflow_scripts.runs import Provenance
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, SCORES, TEXT, read_csv, read_table
from workflow_scripts.text.audit import FitAudit

DRAW = {
    name.removeprefix("draw_"): function
    for module in (data, losses, scores)
    for name, function in vars(module).items()
    if name.startswith("draw_")
}


def draw(figure: dict[str, Any], files: dict[str, Any]) -> Figure:
    """Call the function of a figure's kind with the tables, read from `files`, that it names."""
    folders = [Path(folder) for folder in figure.get("runs", [])]
    lengths = {"task": TEXT, **dict.fromkeys(data.LENGTHS, COUNT)}
    tables = {
        "runs": lambda: frames.read_runs(folders),
        "epochs": lambda: frames.read_epochs(folders).query("task == 'all'"),
        "steps": lambda: frames.read_steps(folders),
        # The run whose weights each started from; None: the base model itself.
        "starts": lambda: [Provenance.read(each / "provenance.json").base.run for each in folders],
        "tasks": lambda: read_table(files["rows"], {"task": TEXT}).task,
        "lengths": lambda: read_table(files["lengths"], lengths),
        "answers": lambda: read_table(files["answers"], scores.JUDGED),
        "numbers": lambda: read_table(files["scores"], SCORES),
        "agents": lambda: read_csv(files["agents"]),
        # The published runs, where their losses compare with the figure's.
        "quoted": lambda: files["published"]["runs"] if figure.get("published") else {},
        # The tasks of each run's training rows, in the order of the file.
        "task_orders": lambda: [
            read_table(path, {"task": TEXT}).task.tolist() for path in figure["rows"]
        ],
    }
    function = DRAW[figure["kind"]]
    names = inspect.signature(function).parameters
    return function(**{name: tables[name]() if name in tables else files[name] for name in names})


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
    files = dict(locals())
    paths = {path.name: path for path in pictures}
    for name, figure in figures.items():
        svg, png = (paths[f"{name}.{kind}"] for kind in ("svg", "png"))
        look = {key: figure[key] for key in ("note", "style") if key in figure}
        save_figure(lambda figure=figure: draw(figure, files), svg, png, **look)


if __name__ == "__main__":
    run_stage(plot)
