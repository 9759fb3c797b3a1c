"""Write resources/shipped_results.json, which the report shows where a run lacks seeds or ablation.

    python -m tools.ship_results --seeds RESULTS --ablation-of RESULTS

Each RESULTS is the folder results/ of a finished run of the embedded default: one over several
seeds (configs/seeds.yaml), one with `snakemake ablation`; they may be the same. Nothing is measured
here, and no number is typed: all are taken from the tables in the folders.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.artifacts.shipped import (
    Measured,
    Shipped,
    ShippedAblation,
    ShippedClaim,
    ShippedEffect,
    ShippedScore,
    ShippedSeeds,
)
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.origin import STANDIN
from workflow_scripts.report.claims.verdict import NUMBERS
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.front import EFFECTS, SCORES
from workflow_scripts.report.means import TEST_SPLITS, best_runs, held_out
from workflow_scripts.settings import Origin
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import read_csv

OUT = Path("resources/shipped_results.json")


def runs_in(results: Path) -> list[Path]:
    """The folders of all fine-tunings. Raises EssenceError for other rows or another model."""
    origin = Origin.read(results / "origin.json")
    if (origin.rows, origin.model) != ("twin", STANDIN):
        raise EssenceError(
            f"{results} was measured on {origin.rows} with {origin.model}. Only results of the "
            "embedded default can ship with the project."
        )
    return [path.parent for path in sorted(results.glob("runs/*/*/seed*/training.json"))]


def measured(runs: Iterable[Path]) -> Measured:
    """The newest commit that the runs were trained with."""
    commits = {read_json(run / "provenance.json")["git"]["commit"] for run in runs} - {None}
    if not commits:
        raise EssenceError("the runs do not say which commit they were trained with")
    _, date, newest = max((*_committed(commit), commit) for commit in commits)
    return Measured(date=date, commit=newest)


def _committed(commit: str) -> tuple[int, str]:
    """(seconds since 1970, day)."""
    call = ["git", "show", "--no-patch", "--format=%ct %cs", commit]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode:
        raise EssenceError(f"commit {commit} of the runs is not in this repository")
    seconds, day = done.stdout.split()
    return int(seconds), day


def over_seeds(results: Path) -> ShippedSeeds:
    tables = results / "tables"
    means = read_csv(tables / "over_seeds.csv")
    trained = set(means.recipe)
    runs = read_runs(folder for folder in runs_in(results) if folder.parts[-3] in trained)
    best, scores, folders = best_runs(runs), [], []
    for recipe, run in best.items():
        own = means[(means.recipe == recipe) & (means.run == run) & (means.task == "all")]
        splits = (held_out(own.split.unique()), *TEST_SPLITS)
        own = own[own.metric.isin(SCORES) & own.split.isin(splits)]
        names = ["recipe", "run", "split", "metric", "mean", "low", "high"]
        scores += [ShippedScore(**record) for record in records(own[names])]
        folders.append(runs[(runs.recipe == recipe) & (runs.run == run)].folder)
    claims = read_csv(tables / "claims.csv")
    in_words = claims[claims.group != NUMBERS][["claim", "kind", "verdict"]]
    return ShippedSeeds(
        measured=measured(Path(folder) for seeds in folders for folder in seeds),
        seeds=min(len(seeds) for seeds in folders),
        claims=[ShippedClaim(**record) for record in records(in_words)],
        scores=scores,
    )


def ablation(results: Path) -> ShippedAblation:
    effects = read_csv(results / "tables" / "ablation.csv")
    recipes = set(effects.recipe)
    folders: dict[str, list[Path]] = {}
    for folder in runs_in(results):
        folders.setdefault(folder.parts[-2], []).append(folder)
    # The run that every recipe of the ablation has.
    [name] = [
        name for name, of_run in folders.items() if recipes <= {path.parts[-3] for path in of_run}
    ]
    shown = effects[effects.metric.isin(EFFECTS) & (effects.split == "test")]
    names = ["recipe", "artefact", "split", "metric", "n", "value", "low", "high"]
    return ShippedAblation(
        measured=measured(path for path in folders[name] if path.parts[-3] in recipes),
        run=name,
        seeds=int(effects[effects.split == "val"].n.max()),  # a line of a loss counts seeds
        effects=[ShippedEffect(**record) for record in records(shown[names])],
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with None for what is missing."""
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def ship_results(
    seeds: Annotated[Path, Option("results/ of a run over several seeds")],
    ablation_of: Annotated[Path, Option("results/ of a run with the ablation")],
    out: Annotated[Path, Option("the file to write")] = OUT,
) -> None:
    Shipped(seeds=over_seeds(seeds), ablation=ablation(ablation_of)).write(out)


if __name__ == "__main__":
    run_stage(ship_results)
