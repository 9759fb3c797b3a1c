"""The models beside one another: the agents end to end, and what each model measured reached.

What the report quotes of other models (its Annex II) stands in resources/published.json; those
accuracies are of other questions, so they are not ranked against what is measured here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.intervals import difference_over_rows, mean_over_rows
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.means import TEST_SPLITS, best_runs, mean_score
from workflow_scripts.runs import STOP, Answering, Provenance, Training
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import (
    ANSWERS,
    OUTCOMES,
    SCORES,
    read_table,
    write_csv,
)

ALL_AGENTS = "all agents"
SPLITS = {"test": "test rows", "unseen": "unseen databases", "other": "other file"}
MEASURED = {  # feature -> (task, metric)
    "Selector, F1 of columns": ("Selector", "column_f1"),
    "Decomposer, execution accuracy": ("Decomposer", "execution_accuracy"),
    "Refiner, execution accuracy": ("Refiner", "execution_accuracy"),
    "All tasks, exact match": ("all", "exact_match"),
    "All tasks, ROUGE-L": ("all", "rouge_l"),
}
END_TO_END = "End to end, execution accuracy"
NO_DATABASE = "not measured: no database"
NOT_HERE = "not known here"


def agent_scores(outcomes: pd.DataFrame) -> pd.DataFrame:
    """agents.csv: execution accuracy of each setup of the agents on each split.

    `difference`: this setup minus all agents on the same questions, missing where it asks others.
    `selected` counts the questions that the Selector was asked, `repairs` all repairs.
    """
    known = outcomes[outcomes.right.notna()]
    lines = []
    for split in TEST_SPLITS:
        of_split = known[known.split == split]
        whole = of_split[of_split.setup == ALL_AGENTS].set_index("idx").right
        for setup, own in of_split.groupby("setup", sort=False):
            right = own.set_index("idx").right
            value, low, high = mean_over_rows(right.to_numpy())
            line = {"setup": setup, "split": split, "n": len(own)}
            line |= {"value": value, "low": low, "high": high}
            if setup != ALL_AGENTS and set(right.index) == set(whole.index):
                names = ("difference", "difference_low", "difference_high")
                paired = difference_over_rows(right.to_numpy(), whole[right.index].to_numpy())
                line |= dict(zip(names, paired, strict=True))
            lines.append(line | {"selected": own.selected.sum(), "repairs": own.repairs.sum()})
    columns = ["setup", "split", "n", "value", "low", "high", "difference", "difference_low"]
    return pd.DataFrame(lines, columns=[*columns, "difference_high", "selected", "repairs"])


def end_to_end(outcomes: Path) -> dict[str, str]:
    """Split -> execution accuracy of all agents together, in words."""
    scores = agent_scores(read_table(outcomes, OUTCOMES))
    together = scores[scores.setup == ALL_AGENTS]
    return {line.split: _estimate(line.value, line.low, line.high, line.n)
            for line in together.itertuples()}  # fmt: skip


def run_features(
    folders: list[Path],
    base: str,
    scores: pd.DataFrame,
    answers: pd.DataFrame,
    together: dict[str, str] | str,
) -> dict[str, str]:
    """Feature -> text of a run, given the folders of its seeds and their scores.

    `base`: name of the base model; `together`: split -> accuracy end to end, or why there is none.
    """
    training = Training.read(folders[0] / "training.json")
    facts = Provenance.read(folders[0] / "provenance.json")
    answered = [Answering.read(folder / "answering.json") for folder in folders]
    settings, lora = training.settings.run, training.settings.model.lora
    after = f", after {facts.base.run} and what it started from" if facts.base.run else ""
    trained = f"adapters of rank {lora.rank} (LoRA)" if lora else "all weights"
    return {
        "Base architecture": f"{training.settings.model.architecture}, {base}",
        "Parameters": f"{facts.model.parameters:,}",
        "Training data": f"{settings.rows} rows, {settings.sampling} mix of tasks{after}",
        "Training method": f"supervised multitask fine-tuning of {trained}",
        "Training device": f"{facts.device.kind}, {facts.device.precision}",
        "Answers cut, empty or refused": _ended(answered),
        "Cost of the answers": "none: it runs here",
        **_results(scores, answers, together),
    }


def endpoint_features(
    folder: Path, size: str | None, scores: pd.DataFrame, answers: pd.DataFrame
) -> dict[str, str]:
    """The same of a model behind an endpoint, from its folder results/models/<name>."""
    rows = Answering.read(folder / "answering.json")
    answered = [rows]
    together: dict[str, str] | str = NO_DATABASE
    if not scores.loc[scores.metric == "execution_accuracy"].empty:
        answered.append(Answering.read(folder / "agents/answering.json"))
        together = end_to_end(folder / "agents/outcomes.parquet")
    served = f", served as {', '.join(rows.served)}" if set(rows.served) - {rows.model} else ""
    return {
        "Base architecture": f"behind an endpoint: {rows.model}{served}",
        "Parameters": size or NOT_HERE,
        "Training data": NOT_HERE,
        "Training method": "not trained here: whole prompts with worked examples",
        "Training device": "not trained here",
        "Answers cut, empty or refused": _ended(answered),
        "Cost of the answers": _cost(answered),
        **_results(scores, answers, together),
    }


def _results(
    scores: pd.DataFrame, answers: pd.DataFrame, together: dict[str, str] | str
) -> dict[str, str]:
    features = {}
    for split, words in SPLITS.items():
        of_split = scores[scores.split == split]
        if of_split.empty:
            continue
        for feature, (task, metric) in MEASURED.items():
            own = of_split[(of_split.task == task) & (of_split.metric == metric)]
            mean = mean_score(own, answers)
            features[f"{feature} ({words})"] = (
                _estimate(mean.value, mean.low, mean.high, mean.rows) if mean else NO_DATABASE
            )
        features[f"{END_TO_END} ({words})"] = (
            together if isinstance(together, str) else together.get(split, NO_DATABASE)
        )
    return features


def _estimate(value: float, low: float, high: float, n: int) -> str:
    interval = f" [{low:.3f}, {high:.3f}]" if low == low else ""
    return f"{value:.3f}{interval}, n = {n}"


def _ended(answered: Iterable[Answering]) -> str:
    """How many answers did not end by themselves, by kind."""
    answered = list(answered)
    kinds = sorted({kind for each in answered for kind in each.ended} - {STOP})
    counts = [f"{sum(each.ended.get(kind, 0) for each in answered)} {kind}" for kind in kinds]
    return f"{', '.join(counts) or 'none'} of {sum(each.answers for each in answered)}"


def _cost(answered: list[Answering]) -> str:
    """Of all answers; what rows and questions both needed counts with both, and was paid once."""
    answers = sum(each.answers for each in answered)
    if None in [count for each in answered for count in (each.input_tokens, each.output_tokens)]:
        return f"not known: the server does not count tokens ({answers} answers)"
    read, written = (
        sum(getattr(each, count) for each in answered)
        for count in ("input_tokens", "output_tokens")
    )
    tokens = f"{answers} answers, {read:,} tokens read and {written:,} written"
    costs = [each.cost for each in answered]
    return f"no prices set: {tokens}" if None in costs else f"{sum(costs):.2f}: {tokens}"


def compare_models(
    best: dict[str, list[Path]],
    scores: pd.DataFrame,
    answers: pd.DataFrame,
    bases: dict[str, str],
    outcomes: dict[str, Path],
    recipe: str,
    endpoints: dict[Path, str | None],
) -> pd.DataFrame:
    """models.csv: one row per feature, one column per model measured here.

    `best`: recipe -> folders of the seeds of its best run; `outcomes`: recipe -> outcomes of the
    agents, where they were run; `endpoints`: folder -> the model's parameters in words.
    """
    columns = {}
    for name, folders in best.items():
        run = folders[0].parent.name
        own = scores[(scores.recipe == name) & (scores.run == run)]
        together: dict[str, str] | str = f"asked of the best run of {recipe} alone"
        if name in outcomes:
            together = end_to_end(outcomes[name])
        columns[f"{name}: {run}"] = run_features(folders, bases[name], own, answers, together)
    for folder, size in endpoints.items():
        own = scores[(scores.recipe == "endpoint") & (scores.run == folder.name)]
        columns[folder.name] = endpoint_features(folder, size, own, answers)
    table = pd.DataFrame(columns).fillna("not asked these rows")
    return table.rename_axis("feature").reset_index()


def tabulate_models(
    runs: Annotated[list[Path], Setting("run folders of all recipes, compared models' too")],
    scores: Annotated[list[Path], Input("scores.parquet of these runs and of endpoints")],
    answers: Annotated[list[Path], Input("answers.parquet of the same")],
    bases: Annotated[dict, Setting("recipe -> name of its base model")],
    recipe: Annotated[str, Setting("of the run in the agents' place")],
    models: Annotated[Path, Output("models.csv")],
    outcome_recipes: Annotated[list[str], Setting("recipes whose best run was the agents")] = [],  # noqa: B006
    outcomes: Annotated[list[Path], Input("outcomes.parquet of these, in their order")] = [],  # noqa: B006
    endpoints: Annotated[dict, Setting("folder of an endpoint -> its parameters")] = {},  # noqa: B006
    agents: Annotated[Path | None, Output("agents.csv, where the agents were run")] = None,
) -> None:
    frame = read_runs(runs)
    best = {
        name: [Path(folder) for folder in frame[(frame.recipe == name) & (frame.run == run)].folder]
        for name, run in best_runs(frame).items()
    }
    of_agents = dict(zip(outcome_recipes, outcomes, strict=True))
    numbers = pd.concat([read_table(path, SCORES) for path in scores])
    of_answers = pd.concat([read_table(path, ANSWERS) for path in answers])
    sizes = {Path(folder): size for folder, size in endpoints.items()}
    write_csv(models, compare_models(best, numbers, of_answers, bases, of_agents, recipe, sizes))
    if agents:
        write_csv(agents, agent_scores(read_table(of_agents[recipe], OUTCOMES)))


if __name__ == "__main__":
    run_stage(tabulate_models)
