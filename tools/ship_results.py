"""Write resources/shipped_results.json, which the report shows where a run lacks seeds or ablation.

    python -m tools.ship_results --seeds RESULTS --ablation-of RESULTS

Each RESULTS is the folder results/ of a finished run of the embedded default: one over several
seeds (configs/seeds.yaml), one with `snakemake ablation`; they may be the same. Nothing is measured
here, and no number is typed: all are taken from the tables in the folders.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.claims import Claims, Group
from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.report import Effect, Mean, seeds_of
from workflow_scripts.artifacts.settings import Origin
from workflow_scripts.artifacts.shipped import (
    Measured,
    Shipped,
    ShippedAblation,
    ShippedClaim,
    ShippedEffect,
    ShippedScore,
    ShippedSeeds,
)
from workflow_scripts.artifacts.tables import TEST_SPLITS
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.origin import STANDIN
from workflow_scripts.report.claims.english import english
from workflow_scripts.report.pages.front_page import EFFECTS, SCORES
from workflow_scripts.report.runs import Run, best_runs, held_out
from workflow_scripts.stage import Option, run_stage

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
    means = read_csv(Mean, tables / "over_seeds.csv")
    trained = {mean.recipe for mean in means}
    best = best_runs(Run(folder) for folder in runs_in(results) if folder.parts[-3] in trained)
    scores = []
    for recipe, (run, *_) in best.items():
        own = [
            each
            for each in means
            if (each.recipe, each.run, each.task) == (recipe, run.name, "all")
        ]
        splits = (held_out(each.split for each in own), *TEST_SPLITS)
        scores += [
            ShippedScore(
                recipe=recipe, run=run.name, split=each.split, metric=each.metric,
                mean=each.mean, low=each.low, high=each.high,
            )
            for each in own
            if each.metric in SCORES and each.split in splits
        ]  # fmt: skip
    return ShippedSeeds(
        measured=measured(run.folder for seeds in best.values() for run in seeds),
        seeds=min(len(seeds) for seeds in best.values()),
        claims=[
            ShippedClaim(
                claim=line.claim, kind=line.verdict.kind.value, verdict=english(line.verdict)
            )
            for group, lines in Claims.read(tables / "claims.json").by_group().items()
            if group != Group.NUMBERS
            for line in lines
        ],
        scores=scores,
    )


def ablation(results: Path) -> ShippedAblation:
    effects = read_csv(Effect, results / "tables" / "ablation.csv")
    recipes = {effect.recipe for effect in effects}
    folders: dict[str, list[Path]] = {}
    for folder in runs_in(results):
        folders.setdefault(folder.parts[-2], []).append(folder)
    # The run that every recipe of the ablation has.
    [name] = [
        name for name, of_run in folders.items() if recipes <= {path.parts[-3] for path in of_run}
    ]
    return ShippedAblation(
        measured=measured(path for path in folders[name] if path.parts[-3] in recipes),
        run=name,
        seeds=seeds_of(effects),
        effects=[
            ShippedEffect(
                recipe=each.recipe, artefact=each.artefact, split=each.split, metric=each.metric,
                n=each.n, value=each.value, low=each.low, high=each.high,
            )
            for each in effects
            if each.metric in EFFECTS and each.split == "test"
        ],
    )  # fmt: skip


def ship_results(
    seeds: Annotated[Path, Option("results/ of a run over several seeds")],
    ablation_of: Annotated[Path, Option("results/ of a run with the ablation")],
    out: Annotated[Path, Option("the file to write")] = OUT,
) -> None:
    Shipped(seeds=over_seeds(seeds), ablation=ablation(ablation_of)).write(out)


if __name__ == "__main__":
    run_stage(ship_results)
