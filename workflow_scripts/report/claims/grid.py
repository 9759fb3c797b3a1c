"""Claims of experiments 2 to 4, on batch sizes and learning rates.

A test gives the outcome under one recipe; a function `*_published` what the report's own numbers
say of the claim.
"""

from statistics import fmean

from workflow_scripts.artifacts.runs import Epoch
from workflow_scripts.report.claims.comparison import compare, compare_batches, means
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.mix import BALANCED
from workflow_scripts.report.claims.outcome import NOT_MEASURED, Outcome, found
from workflow_scripts.report.equal_steps import At, pairs_by
from workflow_scripts.report.runs import Run, ranked

SLOW, FAST = 3e-5, 1e-4


def eval_loss(run: Run) -> float | None:
    return run.score("eval_loss")


def smaller_batch(evidence: Evidence, recipe: str) -> Outcome:
    pairs = pairs_by(evidence.grid(recipe), "batch_size", 8, 4)
    words = "eval loss, batch 8 - batch 4"
    return compare_batches(words, pairs, lambda epoch: epoch.eval_loss, At.BEST)


def smaller_batch_published(evidence: Evidence) -> Outcome:
    grid = evidence.published.grid
    rates = sorted({rate for rate, _ in grid})
    values = [grid[rate, 8].best_eval_loss - grid[rate, 4].best_eval_loss for rate in rates]
    text = ", ".join(f"{value:+.3f}" for value in values)
    return found(f"its own numbers, batch 8 - batch 4: {text}", min(values) > 0)


def batch_8_overfits(evidence: Evidence, recipe: str) -> Outcome:
    def gap(epoch: Epoch) -> float:
        return epoch.eval_loss - epoch.train_loss

    pairs = pairs_by(evidence.grid(recipe), "batch_size", 8, 4)
    return compare_batches("evaluation - training loss, batch 8 - batch 4", pairs, gap, At.LAST)


def overfits_published(evidence: Evidence) -> Outcome:
    gaps: dict[int, list[float]] = {4: [], 8: []}
    for (_, batch), run in evidence.published.grid.items():
        gaps[batch].append(run.log[-1].eval_loss - run.log[-1].train_loss)
    small, large = (fmean(gaps[batch]) for batch in (4, 8))
    text = f"evaluation - training loss at the end: {large:.3f} (batch 8), {small:.3f} (batch 4)"
    return found(text, large > small)


def slow_rate_underfits(evidence: Evidence, recipe: str) -> Outcome:
    pairs = pairs_by(evidence.grid(recipe), "learning_rate", SLOW, FAST)
    return compare(f"eval loss, 3e-5 - 1e-4, mean of {len(pairs)} pairs", pairs, eval_loss)


def slow_rate_published(evidence: Evidence) -> Outcome:
    slow, fast = (evidence.published.grid[rate, 4].best_eval_loss for rate in (SLOW, FAST))
    return found(f"eval loss {slow:.3f} (3e-5), {fast:.3f} (1e-4), batch 4", slow > fast)


def chosen_is_best(evidence: Evidence, recipe: str) -> Outcome:
    """Its rank, and by how much the best of the others has the higher evaluation loss."""
    chosen, grid = evidence.published.chosen, evidence.grid(recipe)
    names = dict.fromkeys(run.name for run in grid)
    orders = {}
    for metric in ("eval_loss", "rouge_l"):
        scores = {name: evidence.score(recipe, name, metric) for name in names}
        values = {name: [score.value] for name, score in scores.items() if score}
        if chosen not in values or len(values) < 2:
            return NOT_MEASURED
        orders[metric] = [each.run for each in ranked(values, metric)]
    by_loss, by_rouge = orders.values()
    rival = next(name for name in by_loss if name != chosen)
    words = (
        f"rank {by_loss.index(chosen) + 1} of {len(by_loss)} by eval loss, "
        f"{by_rouge.index(chosen) + 1} by ROUGE-L; eval loss, {rival} - this"
    )
    return compare(words, evidence.pairs(recipe, rival, chosen), eval_loss, among=grid)


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

    pairs = evidence.pairs(recipe, evidence.published.chosen, BALANCED)
    both = means(pairs, rouge)
    if both is None:
        return NOT_MEASURED
    last, first = both
    return compare(f"{first:.3f} to {last:.3f}; rise", pairs, rouge)
