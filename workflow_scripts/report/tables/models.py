"""The comparison of models of the report's Annex II, with measured columns beside the quoted ones.

Quoted columns are the report's own. Measured are the run of each recipe with the lowest evaluation
loss, its numbers the means over its seeds, and the models behind endpoints, which are asked the
same test rows and questions.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Annotated

from workflow_scripts.artifacts.csv import write_table
from workflow_scripts.artifacts.endpoint import STOP, Answering
from workflow_scripts.artifacts.parquet import read_rows
from workflow_scripts.artifacts.published import Published, QuotedModels
from workflow_scripts.artifacts.runs import Score
from workflow_scripts.artifacts.tables import AgentOutcome
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run, best_runs, mean_score
from workflow_scripts.report.tables.agents import ALL, scores_of
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
The models that Annex II of the report compares, and beside them the best runs of this project and
the models that ``models:`` in the configuration names.

**How to read it.** A column *quoted* is copied from the report. A column *measured here* is the
best run of a recipe, the one with the lowest loss on its own validation rows, with means over
seeds, or another model that was asked the same test rows. Quoted accuracies are of other questions:
do not rank them against measured ones. Brackets are 95 % intervals. Seconds are of the machine.
"""

SPLITS = {"test": "test rows", "unseen": "unseen databases", "other": "other file"}
MEASURED = {  # feature -> (task, metric)
    "Selector, F1 of columns": ("Selector", "column_f1"),
    "Decomposer, execution accuracy": ("Decomposer", "execution_accuracy"),
    "Refiner, execution accuracy": ("Refiner", "execution_accuracy"),
    "All tasks, exact match": ("all", "exact_match"),
    "All tasks, ROUGE-L": ("all", "rouge_l"),
}
END_TO_END = "End to end, execution accuracy"
NOT_QUOTED, NOT_HERE = "not quoted", "not known here"
NOT_ASKED, NO_DATABASE = "not asked these rows", "not measured: no database"
LEAD = html.Markup(
    "The quoted accuracies are execution accuracies of the three agents at work together, on the "
    "benchmarks BIRD and Spider. Those measured here are of other questions, so they must not be "
    "ranked against each other. Source of the quoted columns: {}."
)
Features = dict[str, str]  # feature -> text
Columns = dict[str, Features]  # name of a model -> its features


def run_features(seeds: list[Run], base: str, together: Mapping[str, str] | str) -> Features:
    """Of the seeds of a run. `base`: name of the base model; `together`: see `_results`."""
    run = seeds[0]
    provenance, settings = run.provenance, run.settings
    before = provenance.base.run
    after = f", after {before} and what it started from" if before else ""
    seconds = [each.provenance.seconds.get("train") for each in seeds]
    took = [each.answering for each in seeds]
    lora = run.training.settings.model.lora
    trained = f"adapters of rank {lora.rank} (LoRA)" if lora else "all weights"
    return {
        "Base architecture": f"{run.training.settings.model.architecture}, {base}",
        "Parameters": f"{provenance.model.parameters:,}",
        "Training data": f"{settings.rows} rows, {settings.sampling} mix of tasks{after}",
        "Training method": f"supervised multitask fine-tuning of {trained}",
        "Training, seconds": "not kept" if None in seconds else f"{fmean(seconds):.0f}{after}",
        "Training device": f"{provenance.device.kind}, {provenance.device.precision}",
        "Seconds an answer": f"{fmean(map(_seconds, took)):.2g}, in batches",
        "Answers cut, empty or refused": _ended(took),
        "Cost of the answers": "none: it runs here",
        **_results([each.scores for each in seeds], together),
    }


def endpoint_features(folder: Path, size: str | None) -> Features:
    """Of what a model behind an endpoint left in its folder."""
    rows, agents = Answering.read(folder / "answering.json"), folder / "agents"
    took = [rows]
    together: Mapping[str, str] | str = NO_DATABASE
    if agents.is_dir():
        took.append(Answering.read(agents / "answering.json"))
        together = end_to_end(read_rows(AgentOutcome, agents / "outcomes.parquet"))
    served = (
        f", served as {', '.join(rows.served)}" if rows.served not in ([], [rows.model]) else ""
    )
    return {
        "Base architecture": f"behind an endpoint: {rows.model}{served}",
        "Parameters": size or NOT_HERE,
        "Training data": NOT_HERE,
        "Training method": "not trained here: whole prompts with worked examples",
        "Training, seconds": "not trained here",
        "Training device": "not trained here",
        "Seconds an answer": f"{_seconds(rows):.2g}, several at once",
        "Answers cut, empty or refused": _ended(took),
        "Cost of the answers": _cost(took),
        **_results([Run(folder).scores], together),
    }


def end_to_end(outcomes: list[AgentOutcome]) -> dict[str, str]:
    """Split -> execution accuracy of all agents together."""
    return {
        score.split: _estimate(score.value, score.low, score.high, score.n)
        for score in scores_of(outcomes)
        if score.setup == ALL
    }


def _results(seeds: list[list[Score]], together: Mapping[str, str] | str) -> Features:
    """On the test rows that were asked.

    `together`: split -> the accuracy end to end, or why there is none.
    """
    features = {}
    for split in [split for split in SPLITS if any(score.split == split for score in seeds[0])]:
        for feature, (task, metric) in MEASURED.items():
            key = (split, task, metric)
            of_seeds = [
                score
                for scores in seeds
                for score in scores
                if (score.split, score.task, score.metric) == key and score.value is not None
            ]
            mean = mean_score(of_seeds)
            features[f"{feature} ({SPLITS[split]})"] = (
                _estimate(mean.value, mean.low, mean.high, mean.rows) if mean else NO_DATABASE
            )
        features[f"{END_TO_END} ({SPLITS[split]})"] = (
            together if isinstance(together, str) else together.get(split, NO_DATABASE)
        )
    return features


def _estimate(value: float, low: float | None, high: float | None, n: int | None) -> str:
    return f"{html.number(value, low, high)}, n = {n}"


def _seconds(took: Answering) -> float:
    return took.seconds / took.answers


def _ended(took: Iterable[Answering]) -> str:
    """How many answers did not end by themselves, by kind."""
    took = list(took)
    kinds = sorted({kind for each in took for kind in each.ended} - {STOP})
    counts = [f"{sum(each.ended.get(kind, 0) for each in took)} {kind}" for kind in kinds]
    return f"{', '.join(counts) or 'none'} of {sum(each.answers for each in took)}"


def _cost(took: list[Answering]) -> str:
    """Of all answers; what rows and questions both needed counts with both, and was paid once."""
    answers = sum(each.answers for each in took)
    if None in [count for each in took for count in (each.input_tokens, each.output_tokens)]:
        return f"not known: the server does not count tokens ({answers} answers)"
    read, written = (
        sum(getattr(each, count) for each in took) for count in ("input_tokens", "output_tokens")
    )
    tokens = f"{answers} answers, {read:,} tokens read and {written:,} written"
    costs = [each.cost for each in took]
    return f"no prices set: {tokens}" if None in costs else f"{sum(costs):.2f}: {tokens}"


def comparison(quoted: QuotedModels, measured: Columns) -> list[list[str]]:
    """Lines of a feature and its text for each model, the quoted ones first."""
    lines = {feature: values for feature, *values in quoted.rows}
    features = dict.fromkeys([*lines, *(feature for each in measured.values() for feature in each)])
    unknown = [NOT_QUOTED] * len(quoted.columns)
    return [
        [feature, *lines.get(feature, unknown)]
        + [column.get(feature, NOT_ASKED) for column in measured.values()]
        for feature in features
    ]


def tabulate_models(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    published: Annotated[Published, Input("resources/published.json")],
    bases: Annotated[dict, Setting("recipe -> name of its base model")],
    recipe: Annotated[str, Setting("of the run in the agents' place")],
    table: Annotated[Path, Output("models.csv")],
    agents: Annotated[Path | None, Input("outcomes.parquet of that run")] = None,
    endpoints: Annotated[list[Path], Setting("folders of the models behind endpoints")] = (),
    sizes: Annotated[dict | None, Setting("name of such a model -> its parameters")] = None,
) -> html.Page:
    quoted, measured = published.models, {}
    for name, seeds in best_runs(runs).items():
        together: Mapping[str, str] | str = f"asked of the best run of {recipe} alone"
        own = seeds[0].folder / "agents/outcomes.parquet"
        if outcomes := agents if name == recipe else own if own.is_file() else None:
            together = end_to_end(read_rows(AgentOutcome, outcomes))
        measured[f"{name}: {seeds[0].name}"] = run_features(seeds, bases[name], together)
    for folder in endpoints:
        measured[folder.name] = endpoint_features(folder, sizes[folder.name])
    columns = ["feature", *quoted.columns, *measured]
    lines = comparison(quoted, measured)
    write_table(table, columns, lines)
    rows = [[html.Markup("<strong>{}</strong>").format(line[0]), *line[1:]] for line in lines]
    subheads = dict.fromkeys(quoted.columns, "quoted") | dict.fromkeys(measured, "measured here")
    shown = {"": html.Table(columns, rows, subheads)}
    return html.tables("Comparison of models (Annex II)", LEAD.format(quoted.source), shown)


if __name__ == "__main__":
    run_stage(tabulate_models, write_page)
