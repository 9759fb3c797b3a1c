"""The models beside one another: the agents end to end, and what each model measured reached.

What the report quotes of other models (its Annex II) stands in resources/published.json; those
accuracies are of other questions, so they are not ranked against what is measured here.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd

from workflow_scripts.intervals import difference_over_rows, mean_over_rows
from workflow_scripts.report.frames import read_runs, select
from workflow_scripts.report.means import (
    WORDS,
    as_mean,
    best_runs,
    means_over_seeds,
    written,
)
from workflow_scripts.runs import STOP, Answering, Provenance, Training
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import ANSWERS, OUTCOMES, SCORES, clusters_of, read_table, write_csv

ALL_AGENTS = "all agents"
SPLITS = {"test": "test rows", "unseen": "unseen databases", "other": "other file"}
MEASURED = {name: tuple(key) for name, key in WORDS["features"].items()}  # (task, metric)
END_TO_END = "End to end, execution accuracy"
NO_DATABASE = "not measured: no database"
NOT_HERE = "not known here"


def agent_scores(outcomes: pd.DataFrame) -> pd.DataFrame:
    """agents.csv: execution accuracy of each setup of the agents on each split.

    `difference`: this setup minus all agents on the same questions, missing where it asks others.
    `selected` counts the questions that the Selector was asked, `repairs` all repairs.
    """
    known, lines = outcomes[outcomes.right.notna()].set_index("idx"), []
    for split in TEST_SPLITS:
        of_split = select(known, split=split)
        whole = select(of_split, setup=ALL_AGENTS).right
        for setup, own in of_split.groupby("setup", sort=False):
            databases, paired = clusters_of(own), (None, None, None)
            if setup != ALL_AGENTS and set(own.index) == set(whole.index):
                paired = difference_over_rows(own.right, whole[own.index], databases)
            mean = mean_over_rows(own.right, databases)
            counts = own.selected.sum(), own.repairs.sum()
            lines.append((setup, split, len(own), *mean, *paired, *counts))
    columns = ["setup", "split", "n", "value", "low", "high", "difference", "difference_low"]
    return pd.DataFrame(lines, columns=[*columns, "difference_high", "selected", "repairs"])


def end_to_end(outcomes: Path) -> dict[str, str]:
    """Split -> execution accuracy of all agents together, in words."""
    together = select(agent_scores(read_table(outcomes, OUTCOMES)), setup=ALL_AGENTS)
    return {line.split: f"{written(line.value, line.low, line.high)}, n = {line.n}"
            for line in together.itertuples()}  # fmt: skip


def run_features(folders: list[Path], base: str) -> dict[str, str]:
    """Feature -> text of a run, given the folders of its seeds and the name of its base model."""
    training = Training.read(folders[0] / "training.json")
    facts = Provenance.read(folders[0] / "provenance.json")
    settings, lora = training.settings.run, training.settings.model.lora
    after = f", after {facts.base.run} and what it started from" if facts.base.run else ""
    trained = f"adapters of rank {lora.rank} (LoRA)" if lora else "all weights"
    return {
        "Base architecture": f"{training.settings.model.architecture}, {base}",
        "Parameters": f"{facts.model.parameters:,}",
        "Training data": f"{settings.rows} rows, {settings.sampling} mix of tasks{after}",
        "Training method": f"supervised multitask fine-tuning of {trained}",
        "Training device": f"{facts.device.kind}, {facts.device.precision}",
        **answering_features(folder / "answering.json" for folder in folders),
        "Cost of the answers": "none: it runs here",
    }


def endpoint_features(folder: Path, size: str | None, agents: bool) -> dict[str, str]:
    """The same of results/models/<name>; `agents`: whether it was asked in their place too."""
    rows = Answering.read(folder / "answering.json")
    served = f", served as {', '.join(rows.served)}" if set(rows.served) - {rows.model} else ""
    files = [folder / "answering.json"] + [folder / "agents/answering.json"] * agents
    return {
        "Base architecture": f"behind an endpoint: {rows.model}{served}",
        "Parameters": size or NOT_HERE,
        "Training data": NOT_HERE,
        "Training method": "not trained here: whole prompts with worked examples",
        "Training device": "not trained here",
        **answering_features(files),
    }


def answering_features(files: Iterable[Path]) -> dict[str, str]:
    """How answers ended, and what all cost; what rows and questions share was paid once."""
    answered = [Answering.read(file) for file in files]
    ended = sum((Counter(each.ended) for each in answered), Counter())
    kinds = [f"{ended[kind]} {kind}" for kind in sorted(set(ended) - {STOP})]
    sums = pd.DataFrame([each.model_dump() for each in answered], dtype=object)
    sums = sums[["answers", "input_tokens", "output_tokens", "cost"]].astype(float)
    answers, read, written_tokens, cost = sums.sum(skipna=False)
    tokens = f"{answers:.0f} answers, {read:,.0f} tokens read and {written_tokens:,.0f} written"
    words = f"no prices set: {tokens}" if pd.isna(cost) else f"{cost:.2f}: {tokens}"
    if pd.isna(read + written_tokens):
        words = f"not known: the server does not count tokens ({answers:.0f} answers)"
    return {
        "Answers cut, empty or refused": f"{', '.join(kinds) or 'none'} of {answers:.0f}",
        "Cost of the answers": words,
    }


def score_features(means: pd.DataFrame, together: dict[str, str] | str) -> dict[str, str]:
    """Feature -> number, from `means_over_seeds`; `together`: end to end, or why there is none."""
    features = {}
    for split, words in SPLITS.items():
        of_split = select(means, split=split).set_index(["task", "metric"])
        if of_split.empty:
            continue
        for feature, key in MEASURED.items():
            mean = as_mean(of_split.loc[key]) if key in of_split.index else None
            features[f"{feature} ({words})"] = f"{mean}, n = {mean.rows}" if mean else NO_DATABASE
        whole = together if isinstance(together, str) else together.get(split, NO_DATABASE)
        features[f"{END_TO_END} ({words})"] = whole
    return features


def tabulate_models(
    runs: Annotated[list[Path], Setting("run folders of all recipes")],
    scores: Annotated[list[Path], Input("scores.parquet of these runs and of endpoints")],
    answers: Annotated[list[Path], Input("answers.parquet of the same")],
    base: Annotated[str, Setting("name of the base model")],
    recipe: Annotated[str, Setting("of the run in the agents' place")],
    models: Annotated[Path, Output("models.csv: a row per feature, a column per model")],
    outcomes: Annotated[Path | None, Input("outcomes.parquet, where the agents were run")] = None,
    endpoints: Annotated[dict, Setting("folder of an endpoint -> its parameters")] = {},  # noqa: B006
    agents: Annotated[Path | None, Output("agents.csv, where the agents were run")] = None,
) -> None:
    frame = read_runs(runs)
    numbers = pd.concat([read_table(path, SCORES) for path in scores])
    numbers = numbers[numbers.metric.isin([metric for _, metric in MEASURED.values()])]
    means = means_over_seeds(numbers, pd.concat([read_table(path, ANSWERS) for path in answers]))
    columns = {}
    for name, run in best_runs(frame).items():
        folders = select(frame, recipe=name, run=run).folder.map(Path).tolist()
        nobody = f"asked of the best run of {recipe} alone"
        together = end_to_end(outcomes) if outcomes and name == recipe else nobody
        own = score_features(select(means, recipe=name, run=run), together)
        columns[f"{name}: {run}"] = run_features(folders, base) | own
    for folder, size in endpoints.items():
        own = select(means, recipe="endpoint", run=Path(folder).name)
        executed = bool((own.metric == "execution_accuracy").any())
        outcome = Path(folder, "agents/outcomes.parquet")
        together = end_to_end(outcome) if executed else NO_DATABASE
        own = score_features(own, together)
        columns[Path(folder).name] = endpoint_features(Path(folder), size, executed) | own
    table = pd.DataFrame(columns).fillna("not asked these rows")
    write_csv(models, table.rename_axis("feature").reset_index())
    if agents:
        write_csv(agents, agent_scores(read_table(outcomes, OUTCOMES)))


if __name__ == "__main__":
    run_stage(tabulate_models)
