"""Claims of experiment 1, on the mix of tasks.

A test gives the outcome under one recipe; a function `*_published` what the report's own numbers
say of the claim.
"""

import itertools
from statistics import fmean

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.comparison import compare, means
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import NOT_MEASURED, Outcome, found
from workflow_scripts.report.runs import Run, logged_losses

NATURAL, BALANCED = "exp1_natural", "exp1_balanced"
FIGURE_STEPS = 800  # as many as Figures 5.2 and 5.4 show


def roughness(losses: list[float]) -> list[float]:
    """Change from one logged training loss to the next, as shares of their mean."""
    mean = fmean(losses) if losses else 0
    return [abs(after - before) / mean for before, after in itertools.pairwise(losses)]


def balancing_stabilises(evidence: Evidence, recipe: str) -> Outcome:
    def mean_roughness(run: Run) -> float | None:
        changes = roughness([point.loss for point in logged_losses(run)])
        return fmean(changes) if changes else None

    pairs = evidence.pairs(recipe, NATURAL, BALANCED)
    both = means(pairs, mean_roughness)
    if both is None:
        return NOT_MEASURED
    words = "loss moves {:.1%} a point (natural), {:.1%} (balanced); difference".format(*both)
    return compare(words, pairs, mean_roughness)


def balancing_published(evidence: Evidence) -> Outcome:
    logs = (evidence.published.runs[name].log for name in (NATURAL, BALANCED))
    natural, balanced = (fmean(roughness([epoch.train_loss for epoch in log])) for log in logs)
    text = f"said of Figures 5.1 and 5.3; its own log moves {natural:.1%} (natural) and "
    return found(f"{text}{balanced:.1%} (balanced) from epoch to epoch", natural > balanced)


def balancing_is_fair(evidence: Evidence, recipe: str) -> Outcome:
    def spread(run: Run) -> float | None:
        losses = [run.score("loss_per_token", task=task) for task in TASKS]
        # A small natural sample may hold no row of the rare task to validate on.
        return None if None in losses else max(losses) - min(losses)

    def rarest(run: Run) -> int:
        return min(run.training.rows["val"][task] for task in TASKS)

    pairs = evidence.pairs(recipe, NATURAL, BALANCED)
    words = "spread of loss per token over tasks, natural - balanced"
    return compare(words, pairs, spread, rarest)


def refiner_deviates(evidence: Evidence, recipe: str) -> Outcome:
    """The Refiner's true training loss above the others', more so in the natural mix."""

    def gap(run: Run) -> float | None:
        losses: dict[str, list[float]] = {task: [] for task in TASKS}
        for step in run.steps[:FIGURE_STEPS]:
            for task, sums in step.tasks.items():
                losses[task].append(sums.loss_sum / max(sums.tokens, 1))
        if not all(losses.values()):
            return None
        refiner = fmean(losses.pop("Refiner"))
        return refiner - fmean(map(fmean, losses.values()))

    def refiners(run: Run) -> int:
        return run.training.rows["train"]["Refiner"]

    pairs = evidence.pairs(recipe, NATURAL, BALANCED)
    words = "Refiner's true loss above the other tasks', natural - balanced"
    return compare(words, pairs, gap, refiners)
