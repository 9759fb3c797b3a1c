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

from workflow_scripts.config import STANDIN
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.report.frames import read_runs
from workflow_scripts.report.judge import NUMBERS
from workflow_scripts.report.means import best_runs, held_out
from workflow_scripts.report.page import EFFECTS, SCORES
from workflow_scripts.report.sections import known
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import read_csv

OUT = Path("resources/shipped_results.json")


def runs_in(results: Path) -> list[Path]:
    """The folders of all fine-tunings. Raises EssenceError for other rows or another model."""
    origin = read_json(results / "origin.json")
    if origin != {"rows": "twin", "model": STANDIN}:
        raise EssenceError(
            f"{results} was measured on {origin['rows']} with {origin['model']}. Only results of "
            "the embedded default can ship with the project."
        )
    return [path.parent for path in sorted(results.glob("runs/*/*/seed*/training.json"))]


def measured(runs: Iterable[Path]) -> dict[str, str]:
    """The newest commit that the runs were trained with, and in which arithmetic."""
    facts = [read_json(run / "provenance.json") for run in runs]
    commits = {each["git"]["commit"] for each in facts} - {None}
    if not commits:
        raise EssenceError("the runs do not say which commit they were trained with")
    _, date, newest = max((*_committed(commit), commit) for commit in commits)
    precision = " and ".join(sorted({each["device"]["precision"] for each in facts}))
    return {"date": date, "commit": newest, "precision": precision}


def _committed(commit: str) -> tuple[int, str]:
    """(seconds since 1970, day)."""
    call = ["git", "show", "--no-patch", "--format=%ct %cs", commit]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode:
        raise EssenceError(f"commit {commit} of the runs is not in this repository")
    seconds, day = done.stdout.split()
    return int(seconds), day


def over_seeds(results: Path) -> dict[str, Any]:
    """The claims in words, and the scores of each recipe's best run."""
    tables = results / "tables"
    means = read_csv(tables / "over_seeds.csv")
    trained = set(means.recipe)
    runs = read_runs(folder for folder in runs_in(results) if folder.parts[-3] in trained)
    best = runs[runs.run == runs.recipe.map(best_runs(runs))]
    scores = []
    for recipe, run in best_runs(runs).items():
        own = means[(means.recipe == recipe) & (means.run == run) & (means.task == "all")]
        splits = (held_out(own.split.unique()), *TEST_SPLITS)
        own = own[own.metric.isin(SCORES) & own.split.isin(splits)]
        scores += known(own[["recipe", "run", "split", "metric", "mean", "low", "high"]])
    claims = read_csv(tables / "claims.csv")
    in_words = claims[claims.group != NUMBERS][["claim", "kind", "verdict"]]
    return {
        "measured": measured(map(Path, best.folder)),
        "seeds": int(best.groupby("recipe").size().min()),
        "claims": known(in_words),
        "scores": scores,
    }


def ablation(results: Path) -> dict[str, Any]:
    """Its scores on test rows, and the run that every recipe of it has."""
    effects = read_csv(results / "tables" / "ablation.csv")
    recipes = set(effects.recipe)
    runs = read_runs(folder for folder in runs_in(results) if folder.parts[-3] in recipes)
    [name] = [name for name, own in runs.groupby("run") if recipes <= set(own.recipe)]
    shown = effects[effects.metric.isin(EFFECTS) & (effects.split == "test")]
    names = ["recipe", "artefact", "split", "metric", "n", "value", "low", "high"]
    return {
        "measured": measured(map(Path, runs[runs.run == name].folder)),
        "run": name,
        "seeds": int(effects[effects.split == "val"].n.max()),  # a line of a loss counts seeds
        "effects": known(shown[names]),
    }


def ship_results(
    seeds: Annotated[Path, Option("results/ of a run over several seeds")],
    ablation_of: Annotated[Path, Option("results/ of a run with the ablation")],
    out: Annotated[Path, Option("the file to write")] = OUT,
) -> None:
    write_json(out, {"seeds": over_seeds(seeds), "ablation": ablation(ablation_of)})


if __name__ == "__main__":
    run_stage(ship_results)
