"""Claims that compare trainings: the mix of tasks, batch sizes, learning rates.

A test gives the outcome under one recipe; a function `*_published` what the report's own numbers
say of the claim.
"""

import itertools
import statistics
from collections.abc import Callable

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import (
    NOT_MEASURED,
    Outcome,
    above_zero,
    found,
    over_seeds,
)
from workflow_scripts.report.runs import Run, logged_losses, ranked

NATURAL, BALANCED = "exp1_natural", "exp1_balanced"
FIGURE_STEPS = 800  # as many as Figures 5.2 and 5.4 show
SLOW, FAST = 3e-5, 1e-4


# --- experiment 1: the mix of tasks


def roughness(losses: list[float]) -> list[float]:
    """Change from one logged training loss to the next, as shares of their mean."""
    mean = statistics.fmean(losses) if losses else 0
    return [abs(after - before) / mean for before, after in itertools.pairwise(losses)]


def balancing_stabilises(evidence: Evidence, recipe: str) -> Outcome:
    def mean_roughness(run: Run) -> float | None:
        changes = roughness([point.loss for point in logged_losses(run)])
        return statistics.fmean(changes) if changes else None

    pairs = evidence.pairs(recipe, NATURAL, BALANCED, mean_roughness)
    if not pairs:
        return NOT_MEASURED
    natural, balanced = (statistics.fmean(each) for each in zip(*pairs, strict=True))
    shown = f"loss moves {natural:.1%} a point (natural), {balanced:.1%} (balanced); difference"
    return above_zero(shown, evidence.difference(recipe, NATURAL, BALANCED, mean_roughness))


def balancing_published(evidence: Evidence) -> Outcome:
    logs = (evidence.published.runs[name].log for name in (NATURAL, BALANCED))
    natural, balanced = (
        statistics.fmean(roughness([epoch.train_loss for epoch in log])) for log in logs
    )
    text = f"said of Figures 5.1 and 5.3; its own log moves {natural:.1%} (natural) and "
    return found(f"{text}{balanced:.1%} (balanced) from epoch to epoch", natural > balanced)


def balancing_is_fair(evidence: Evidence, recipe: str) -> Outcome:
    def spread(run: Run) -> float | None:
        losses = [run.score("loss_per_token", task=task) for task in TASKS]
        # A small natural sample may hold no row of the rare task to validate on.
        return None if None in losses else max(losses) - min(losses)

    difference = evidence.difference(recipe, NATURAL, BALANCED, spread)
    return above_zero("spread of loss per token over tasks, natural - balanced", difference)


def refiner_deviates(evidence: Evidence, recipe: str) -> Outcome:
    """The Refiner's true training loss above the others', more so in the natural mix."""

    def gap(run: Run) -> float | None:
        losses: dict[str, list[float]] = {task: [] for task in TASKS}
        for step in run.steps[:FIGURE_STEPS]:
            for task, sums in step.tasks.items():
                losses[task].append(sums.loss_sum / max(sums.tokens, 1))
        if not all(losses.values()):
            return None
        refiner = statistics.fmean(losses.pop("Refiner"))
        return refiner - statistics.fmean(map(statistics.fmean, losses.values()))

    difference = evidence.difference(recipe, NATURAL, BALANCED, gap)
    return above_zero("Refiner's true loss above the other tasks', natural - balanced", difference)


# --- experiments 2 and 3: batch size and learning rate


def smaller_batch(evidence: Evidence, recipe: str) -> Outcome:
    pairs = _batch_pairs(evidence, recipe, lambda run: run.score("eval_loss"))
    return _over_pairs("eval loss, batch 8 - batch 4", pairs)


def smaller_batch_published(evidence: Evidence) -> Outcome:
    grid = evidence.published.grid
    rates = sorted({rate for rate, _ in grid})
    values = [grid[rate, 8].best_eval_loss - grid[rate, 4].best_eval_loss for rate in rates]
    text = ", ".join(f"{value:+.3f}" for value in values)
    return found(f"its own numbers, batch 8 - batch 4: {text}", min(values) > 0)


def batch_8_overfits(evidence: Evidence, recipe: str) -> Outcome:
    def gap(run: Run) -> float:
        last = run.training.epochs[-1]
        return last.eval_loss - last.train_loss

    pairs = _batch_pairs(evidence, recipe, gap)
    return _over_pairs("evaluation - training loss at the end, batch 8 - batch 4", pairs)


def overfits_published(evidence: Evidence) -> Outcome:
    gaps: dict[int, list[float]] = {4: [], 8: []}
    for (_, batch), run in evidence.published.grid.items():
        gaps[batch].append(run.log[-1].eval_loss - run.log[-1].train_loss)
    small, large = (statistics.fmean(gaps[batch]) for batch in (4, 8))
    text = f"evaluation - training loss at the end: {large:.3f} (batch 8), {small:.3f} (batch 4)"
    return found(text, large > small)


def slow_rate_underfits(evidence: Evidence, recipe: str) -> Outcome:
    grid = evidence.grid(recipe)
    pairs = [
        (seed, run.score("eval_loss") - grid[FAST, batch, seed].score("eval_loss"))
        for (rate, batch, seed), run in grid.items()
        if rate == SLOW and (FAST, batch, seed) in grid
    ]
    return _over_pairs("eval loss, 3e-5 - 1e-4", pairs)


def slow_rate_published(evidence: Evidence) -> Outcome:
    slow, fast = (evidence.published.grid[rate, 4].best_eval_loss for rate in (SLOW, FAST))
    return found(f"eval loss {slow:.3f} (3e-5), {fast:.3f} (1e-4), batch 4", slow > fast)


def chosen_is_best(evidence: Evidence, recipe: str) -> Outcome:
    """Its rank, and by how much the best of the others has the higher evaluation loss."""
    chosen = evidence.published.chosen
    names = dict.fromkeys(run.name for run in evidence.grid(recipe).values())
    orders = {}
    for metric in ("eval_loss", "rouge_l"):
        scores = {name: evidence.score(recipe, name, metric) for name in names}
        means = {name: [score.value] for name, score in scores.items() if score}
        if chosen not in means or len(means) < 2:
            return NOT_MEASURED
        orders[metric] = [each.run for each in ranked(means, metric)]
    by_loss, by_rouge = orders.values()
    rival = next(name for name in by_loss if name != chosen)
    return above_zero(
        f"rank {by_loss.index(chosen) + 1} of {len(by_loss)} by eval loss, "
        f"{by_rouge.index(chosen) + 1} by ROUGE-L; eval loss, {rival} - this",
        evidence.difference(recipe, rival, chosen, lambda run: run.score("eval_loss")),
    )


def chosen_published(evidence: Evidence) -> Outcome:
    runs = evidence.published.runs
    grid = {name: run for name, run in runs.items() if run.experiment == 3}
    losses = ranked({name: [run.best_eval_loss] for name, run in grid.items()}, "eval_loss")
    rouges = ranked({name: [run.rouge_l_val] for name, run in grid.items()}, "rouge_l")
    by_loss, by_rouge = (
        [each.run for each in ranking].index(evidence.published.chosen) + 1
        for ranking in (losses, rouges)
    )
    return found(
        f"its own numbers: rank {by_loss} of {len(grid)} by eval loss, {by_rouge} by ROUGE-L; "
        "first by exact match, for one row in 203",
        by_loss == 1,
    )


def rouge_rose(evidence: Evidence, recipe: str) -> Outcome:
    def rouge(run: Run) -> float | None:
        return run.score("rouge_l_decoded")

    chosen = evidence.published.chosen
    pairs = evidence.pairs(recipe, chosen, BALANCED, rouge)
    if not pairs:
        return NOT_MEASURED
    last, first = (statistics.fmean(each) for each in zip(*pairs, strict=True))
    rise = evidence.difference(recipe, chosen, BALANCED, rouge)
    return above_zero(f"{first:.3f} to {last:.3f}; rise", rise)


# --- pairs of runs of the grid


def _batch_pairs(
    evidence: Evidence, recipe: str, value: Callable[[Run], float]
) -> list[tuple[int, float]]:
    """(seed, value(batch 8) - value(batch 4)) for each learning rate and seed."""
    grid = evidence.grid(recipe)
    return [
        (seed, value(run) - value(grid[rate, 4, seed]))
        for (rate, batch, seed), run in grid.items()
        if batch == 8 and (rate, 4, seed) in grid
    ]


def _over_pairs(name: str, pairs: list[tuple[int, float]]) -> Outcome:
    """Pairs of one seed share their rows: each seed counts once, with its mean."""
    by_seed: dict[int, list[float]] = {}
    for seed, value in pairs:
        by_seed.setdefault(seed, []).append(value)
    means = [statistics.fmean(values) for values in by_seed.values()]
    return above_zero(f"{name}, mean of {len(pairs)} pairs", over_seeds(means))
