"""The figures of the report, drawn from runs with known numbers."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_files as made
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from test_report_tables import ablated

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.report.figures import losses, scores, style
from workflow_scripts.report.figures.catalogue import list_figures
from workflow_scripts.report.figures.plot import DRAW, draw
from workflow_scripts.report.frames import logged_losses, read_runs, read_steps, select
from workflow_scripts.report.means import best_runs
from workflow_scripts.tables import read_table, write_csv

NOTE = "generated twin data, the stand-in model, seed 42"
EPOCHS = {"as_run": 3, "as_written": 9, "repaired": 16}  # of different lengths, as real ones are
CHAIN = ("exp1_natural", "exp3_bs4_lr1e-4", "exp3_bs8_lr1e-4")
TOLERANCE = 1.0  # pixels by which texts and points may stand out or overlap
SETUPS = ("all agents", "without Selector", "without Refiner", "gold Decomposer", "broken gold")


@pytest.fixture(autouse=True)
def our_style():
    with style.drawn_with():
        yield


def texts_of(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


@pytest.fixture(scope="module")
def long_runs(tmp_path_factory) -> list[Path]:
    """One run under each recipe for each of CHAIN, longer from recipe to recipe."""
    root = tmp_path_factory.mktemp("long")
    return [
        made.make_run(root, made.recipe(recipe), name, epochs=epochs, learning_rate=1e-4,
                      batch_size=8 if "bs8" in name else 4, stopped_early="bs8" in name)
        for recipe, epochs in EPOCHS.items()
        for name in CHAIN
    ]  # fmt: skip


@pytest.fixture(scope="module")
def files(runs, tmp_path_factory) -> dict:
    """What figures are drawn from, but for the runs of each.

    Shares of the agents go from 0 to 1, the first and the last with no interval on one side.
    """
    folder, tables = tmp_path_factory.mktemp("drawn"), runs[0].parents[2]
    cuts = {"as_run": {"source_tokens": 512, "target_tokens": 512}}
    cuts |= {"as_written": cuts["as_run"], "repaired": {"target_tokens": 260}}
    counts = [(0, 30), (8, 30), (15, 30), (22, 30), (12, 12)]
    means = [mean_over_rows([1.0] * right + [0.0] * (n - right)) for right, n in counts]
    agents = pd.DataFrame(means, columns=["value", "low", "high"])
    agents = agents.assign(setup=SETUPS, n=[n for _, n in counts])
    agents = pd.concat([agents.assign(split=split) for split in ("test", "unseen")])
    write_csv(folder / "agents.csv", agents)
    return {
        "rows": made.make_rows(folder / "rows.parquet", dict(zip(TASKS, (9, 30, 2), strict=True))),
        "lengths": made.make_lengths(folder / "lengths.parquet"),
        "fit": made.fits(), "cuts": cuts, "published": made.PUBLISHED,
        "agents": folder / "agents.csv",
        "answers": tables / "answers.parquet", "scores": tables / "scores.parquet",
    }  # fmt: skip


def of_losses(folders: list[Path], **more) -> Figure:
    return draw({"kind": "losses", "runs": folders, **more}, {"published": made.PUBLISHED})


@pytest.fixture(scope="module")
def drawings(long_runs, runs, files, tmp_path_factory) -> dict[str, list]:
    """Kind -> functions that draw figures of this kind."""
    natural = [run for run in long_runs if run.parts[-2] == CHAIN[0]]
    both = [run for run in long_runs if run not in natural]
    figures = [
        *({"kind": kind} for kind in ("tasks", "lengths", "fit", "agents")),
        {"kind": "losses", "runs": natural},
        {"kind": "losses", "runs": both, "published": True},
        {"kind": "task_losses", "runs": natural, "rows": [files["rows"]] * 3},
        {"kind": "carried_weights", "runs": long_runs},
        {"kind": "heatmap", "runs": [run for run in runs if "exp3" in run.parts[-2]]},
        {"kind": "execution", "runs": runs},
    ]
    shares = {"as_written": 0, "as_written+tokenizer": 0.25, "repaired-tokenizer": 0.5}
    shares |= {"repaired": 0.75, "repaired~untrained_base": 1}
    effects = tmp_path_factory.mktemp("effects")
    drawings = {"ablation": [lambda: ablated(effects, shares)[1]]}
    for figure in figures:
        drawings.setdefault(figure["kind"], []).append(lambda each=figure: draw(each, files))
    return drawings


# --- nothing is cut off or covered


def faults(figure: Figure) -> list[str]:
    """What a reader would see at once, with the text or the panel; a good figure has none."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    out_of_range = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    texts = {
        text: text.get_window_extent(renderer)
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible() and text not in out_of_range
    }
    level = [text for text in texts if text.get_rotation() % 90 == 0]
    faulty = [
        *(f"{text}: outside the figure" for text in texts if not _within(texts[text], figure.bbox)),
        *(f"{text}: too small" for text in texts if text.get_fontsize() < style.SMALL),
        *(f"{a} and {b}: overlap" for a, b in combinations(level, 2) if _meet(texts[a], texts[b])),
    ]
    for axes in figure.axes:
        marks = []
        for line in axes.get_lines():
            reach = line.get_markersize() / 2 * figure.dpi / 72
            points = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=float))
            points = points[np.isfinite(points).all(axis=1)]
            around = [Bbox([point - reach, point + reach]) for point in points]
            is_star, has_marks = line.get_marker() == "*", line.get_marker() not in ("None", "")
            seen = around if is_star else [Bbox([point, point]) for point in points]
            marks += around if has_marks else []
            if not all(_within(box, axes.bbox) for box in seen):
                faulty.append(f"{axes.title}: a point of {line.get_label()!r} is outside")
        if not all(_within(bar.get_window_extent(), axes.bbox) for bar in axes.patches):
            faulty.append(f"{axes.title}: a bar is outside")
        faulty += [
            f"{text}: on a mark" for text in texts if any(_meet(texts[text], m) for m in marks)
        ]
    return faulty


def _within(box: Bbox, outer: Bbox) -> bool:
    low, high = box.min + TOLERANCE >= outer.min, box.max - TOLERANCE <= outer.max
    return bool(low.all() and high.all())


def _meet(one: Bbox, other: Bbox) -> bool:
    return bool((np.minimum(one.max, other.max) - np.maximum(one.min, other.min) > TOLERANCE).all())


KINDS = [*(each["kind"] for each in list_figures({}, 1, "exp5_long")), "losses", "task_losses"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_on_a_figure_is_cut_off_or_covered(drawings, kind):
    assert drawings.keys() == set(KINDS) == {*DRAW, "ablation"}, "every figure is drawn"
    for each in drawings[kind]:
        figure = each()
        style.add_note(figure, NOTE)
        assert faults(figure) == []


def test_faults_of_a_figure_are_seen(long_runs):
    figure = of_losses([run for run in long_runs if run.parts[-2] == CHAIN[0]])
    axes = figure.axes[-1]
    axes.set_xlim(0, 5)
    for words in ("on", "over"):
        axes.text(3, 0.6, words)
    axes.set_title("long " * 30, loc="left", fontsize=5)
    ends = ("is outside", "on a mark", "outside the figure", "too small", "overlap")
    assert {end for end in ends for each in faults(figure) if each.endswith(end)} == {*ends}


def test_figures_are_the_same_bytes_each_time(tmp_path, long_runs):
    files, drawn = [tmp_path / f"drawn.{kind}" for kind in ("svg", "png")], []
    for _ in range(2):
        look = {"note": NOTE, "style": {"font.size": 10}}
        style.save_figure(lambda: of_losses(long_runs[:1]), *files, **look)
        drawn.append([file.read_bytes() for file in files])
    assert drawn[0] == drawn[1] and min(map(len, drawn[0])) > 5000
    assert b"<dc:date>" not in drawn[0][0]


def test_a_style_that_matplotlib_does_not_know_is_named():
    with pytest.raises(EssenceError, match=r"font\.sise"), style.drawn_with({"font.sise": 9}):
        pass


def test_losses_stand_beside_each_other_by_recipe_and_show_how_training_ended(long_runs):
    """as_run has no run of the second row; published losses stand where they compare."""
    runs = [run for run in long_runs if run.parts[-2] == CHAIN[1] or run.match("repaired/*bs8*/*")]
    figure = of_losses(runs, published=True)
    panels = np.array(figure.axes).reshape(2, 3)
    assert panels[0, 0].get_title(loc="left").startswith("batch 4, 12 rows\nlowest ")
    assert panels[1, 2].get_title(loc="left").endswith("epoch 15, step 450")
    assert panels[1, 0].get_title(loc="left") == f"no run {CHAIN[2]}"
    lines = [list(axes.get_lines()) for axes in panels.flat]
    labels = [{line.get_label() for line in each} for each in lines]
    assert ["evaluation, published" in each for each in labels] == [True, True] + [False] * 4
    stars = {line.get_label(): line for each in lines for line in each if line.get_marker() == "*"}
    fills = {label: star.get_markerfacecolor() for label, star in stars.items()}
    late, early = "best epoch (all epochs used)", "best epoch (stopped by patience)"
    assert fills == {late: "white", early: style.BLACK}
    shared = panels[0, 1].get_shared_y_axes()
    assert shared.joined(panels[0, 1], panels[1, 0]), "the same tokens count"
    assert not shared.joined(panels[0, 2], panels[1, 0]), "losses that do not compare"


def test_task_curves_as_the_notebooks_drew_them_are_one_curve(long_runs):
    steps = read_steps(long_runs[:1])
    row_tasks = [TASKS[place % 3] for place in range(30)]
    drawn = losses.notebook_losses(steps[steps.step <= 60], 5, row_tasks)
    logged = logged_losses(steps, 5).set_index("step").loss
    assert drawn.step.tolist() == list(range(5, 61)), "from the first logged step on, each once"
    for line in drawn.itertuples():
        assert line.task == row_tasks[(line.step - 1) % 30]
        assert line.loss == logged[line.step - line.step % 5], "logged last, whatever the task"


def test_true_task_curves_pool_token_losses():
    steps = {"step": [1, 2], "task": "Selector", "loss_sum": [10, 2], "tokens": [5, 1]}
    drawn = losses.true_losses(pd.DataFrame(steps), window=5)
    assert drawn.to_dict("list") == {"task": ["Selector"] * 2, "step": [1, 2], "loss": [2.0, 2.0]}


def test_execution_accuracy_is_shown_of_each_recipes_best_run_on_rows_it_was_not_trained_on(runs):
    """Validation rows stand in for test rows; databases never seen have a panel of their own."""
    frame = read_runs(runs)
    answers = read_table(runs[0].parents[2] / "answers.parquet", scores.JUDGED)
    asked = answers[(answers.recipe != "as_run") | (answers.split != "test")]
    everything = pd.concat([asked, *(asked.assign(split=each) for each in ("unseen", "other"))])
    rows = scores.executed_rows(everything, best_runs(frame))
    assert set(rows[rows.recipe == "as_run"].split) == {"val", "unseen", "other"}
    assert set(rows[rows.recipe == "repaired"].split) == {"test", "unseen", "other"}
    figure = scores.draw_execution(everything, frame)
    assert faults(figure) == []
    words = ["held-out rows", "databases never seen", "rows of another file"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == words
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "as_run: exp3_bs4_lr1e-4 (its validation rows)"
    decomposer = select(rows, recipe="as_written", split="test", task="Decomposer")
    accuracy, count = decomposer.execution_accuracy.mean(), decomposer.idx.nunique()
    assert f"{accuracy:.2f}, n = {count}" in texts_of(figure)


def test_the_heatmap_frames_the_best_cell_of_a_panel_and_greys_equal_ones(runs, drawings):
    figure = drawings["heatmap"][0]()
    panels = np.array(figure.axes).reshape(4, 3)
    assert panels[0, 0].get_ylabel() == "published\nn = 203\nbatch size"
    # Published: the exact match of one row in 203 has no frame; measured: only the loss varies.
    assert [[len(axes.patches) for axes in row] for row in panels] == [[1, 1, 0], *[[1, 0, 0]] * 3]
    grey = [not axes.get_images() for axes in panels.flat]
    assert grey == [False] * 3 + [False, True, True] * 3
    cells = {text.get_text()[-1] for text in panels[1, 0].texts if text.get_position()[1] == 0}
    stopped = {text.get_text()[-1] for text in panels[1, 0].texts if text.get_position()[1] == 1}
    assert cells == {"*"} and "*" not in stopped, "batch 8 ended by patience"
    assert figure.get_suptitle() == f"each run is trained on 12 rows\n{losses.UNFINISHED}"
    assert panels[0, 1].get_images()[0].norm.vmax == 1, "a score, of a scale of its own"


def test_the_chain_shows_what_each_run_starts_from(tmp_path):
    names = ("exp1_natural", "exp1_balanced")
    runs = [made.make_run(tmp_path, made.recipe("as_run"), name) for name in names]
    provenance = read_json(runs[1] / "provenance.json")
    provenance["base"]["folder"] = "results/runs/as_run/exp1_natural/seed42/model"
    write_json(runs[1] / "provenance.json", provenance)
    figure = draw({"kind": "carried_weights", "runs": runs}, {"published": made.PUBLISHED})
    for words in (
        "as_run, 2 runs on 12 rows, exp1_natural to exp1_balanced:",
        "published: 0.374 at first, 0.314 at last (falls 1 of 1 times, rises 0)",
    ):
        assert words in texts_of(figure)
    lines = figure.axes[0].get_lines()
    ends = ["from the base model", "weights carried over"]
    assert [line.get_label() for line in lines[1::2]] == [f"measured, {each}" for each in ends]
    assert lines[2].get_xdata()[0] > lines[0].get_xdata()[-1], "end to end"


def test_runs_have_their_figures():
    usual = {"experiment": 3, "batch_size": 1, "learning_rate": 3e-5}
    mine = {"mine": usual | {"learning_rate": 2e-4}}
    runs = {
        "exp1_natural": usual | {"experiment": 1, "learning_rate": 5e-5, "sampling": "natural"},
        "exp2_bs4": usual | {"experiment": 2},
        "exp3_bs8_lr3e-5": usual | {"batch_size": 8},
        "exp3_bs4_lr3e-5": usual | {"batch_size": 4},
    }
    figures = list_figures({"as_run": runs | mine, "repaired": mine}, 10, "exp5_long")
    assert {each["name"]: each["losses_of"] for each in figures if "losses_of" in each} == {
        "figure_5.1_losses": {"as_run": ["exp1_natural"]},
        "figure_5.2_tasks": {"as_run": ["exp1_natural"]},
        "losses_experiment2_lr3e-5": {"as_run": ["exp2_bs4"]},
        "figure_5.6_losses": {"as_run": ["exp3_bs4_lr3e-5", "exp3_bs8_lr3e-5"]},
        "losses_lr2e-4": {"as_run": ["mine"], "repaired": ["mine"]},
    }
    title = "5.1 Training and evaluation loss, natural mix, learning rate 5e-5 (here 5e-4)"
    assert title in {each["label"] for each in figures}
