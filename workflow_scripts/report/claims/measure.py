"""The report's sentences, each as a test on measured runs.

A test gives, for a recipe, what was measured in words and whether the claim holds there: True,
False, or None where it cannot be told. A claim of the kind "A is larger than B" holds when the 95 %
interval of the difference lies above 0, fails when it lies below, and is open when it holds 0: too
few seeds to tell is not the same as refuted. What compares trainings needs several seeds; steps,
learning rates or rows of one seed are not repetitions of it.
"""

import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.evidence import CHOSEN, RECIPES, Evidence, Measured, over_seeds
from workflow_scripts.report.runs import Run, best_runs, logged_losses


@dataclass(frozen=True)
class Outcome:
    text: str
    holds: bool | None = None
    difference: Measured | None = None  # what the claim says to be above 0

    @property
    def open(self) -> bool:
        """Measured, but the interval holds 0."""
        return self.holds is None and self.difference is not None

    @property
    def measured(self) -> bool:
        return self.holds is not None or self.open

    def less_than(self, other: "Outcome") -> bool:
        """Whether the difference is clearly smaller than another recipe's (independent runs)."""
        if self.difference is None or other.difference is None:
            return False
        return minus(other.difference, self.difference).low > 0


UNTESTED = Outcome("not trained here")
Test = Callable[[Evidence, str], Outcome]


@dataclass(frozen=True)
class Sentence:
    """A claim in words, its test, and the artefacts that could have produced it.

    `published` says what the report's own numbers say about it; `needs` what a test lacks here, and
    `of_the_rows` that it speaks of the report's rows alone. `ablated` is the metric in which the
    ablation tells which of the artefacts it was.
    """

    claim: str
    test: Test | None
    published: Callable[[Evidence], Outcome]
    suspects: tuple[str, ...] = ()
    needs: str = ""
    of_the_rows: bool = False
    ablated: str = "exact_match"

    def measure(self, evidence: Evidence) -> dict[str, Outcome]:
        if self.test is None:
            return dict.fromkeys(RECIPES, Outcome(""))
        trained = {run.recipe for run in evidence.runs}
        return {
            recipe: self.test(evidence, recipe) if recipe in trained else UNTESTED
            for recipe in RECIPES
        }


def larger(name: str, difference: Measured | None) -> Outcome:
    """The claim that a difference lies above 0."""
    if difference is None:
        return Outcome("not measured")
    text = f"{name}: {difference}"
    if not difference.has_interval:
        return Outcome(f"{text} (one seed: no interval)")
    return above_zero(text, difference)


def above_zero(text: str, value: Measured) -> Outcome:
    holds = True if value.low > 0 else False if value.high < 0 else None
    return Outcome(text, holds, value)


def minus(first: Measured, second: Measured) -> Measured:
    """Difference of two independent means: their half-widths add as squares."""
    half = sum(((each.high - each.low) / 2) ** 2 for each in (first, second)) ** 0.5
    difference = first.value - second.value
    return Measured(difference, difference - half, difference + half, first.over)


# --- experiment 1


def roughness(losses: list[float]) -> list[float]:
    """Change from one logged training loss to the next, as shares of their mean."""
    mean = statistics.fmean(losses) if losses else 0
    return [abs(b - a) / mean for a, b in itertools.pairwise(losses)]


def balancing_stabilises(evidence: Evidence, recipe: str) -> Outcome:
    def rough(run: Run) -> float | None:
        changes = roughness([point.loss for point in logged_losses(run)])
        return statistics.fmean(changes) if changes else None

    pairs = _paired(evidence, recipe, "exp1_natural", "exp1_balanced", rough)
    if not pairs:
        return Outcome("not measured")
    natural, balanced = (statistics.fmean(each) for each in zip(*pairs, strict=True))
    shown = f"loss moves {natural:.1%} a point (natural), {balanced:.1%} (balanced); difference"
    return larger(shown, over_seeds([a - b for a, b in pairs]))


def balancing_published(evidence: Evidence) -> Outcome:
    natural, balanced = (
        statistics.fmean(roughness([e.train_loss for e in evidence.published.runs[name].log]))
        for name in ("exp1_natural", "exp1_balanced")
    )
    text = f"said of Figures 5.1 and 5.3; its own log moves {natural:.1%} (natural) and "
    return Outcome(f"{text}{balanced:.1%} (balanced) from epoch to epoch", natural > balanced)


def balancing_is_fair(evidence: Evidence, recipe: str) -> Outcome:
    def spread(run: Run) -> float | None:
        losses = [run.score("loss_per_token", task=task) for task in TASKS]
        return None if None in losses else max(losses) - min(losses)

    # A small natural sample may hold no row of the rare task to validate on.
    pairs = _paired(evidence, recipe, "exp1_natural", "exp1_balanced", spread)
    values = over_seeds([natural - balanced for natural, balanced in pairs])
    return larger("spread of loss per token over tasks, natural - balanced", values)


def refiner_deviates(evidence: Evidence, recipe: str) -> Outcome:
    """The Refiner's true training loss above the others', more so in the natural mix."""

    def gap(run: Run) -> float | None:
        by_task: dict[str, list[float]] = {task: [] for task in TASKS}
        for step in run.steps[:800]:  # as many as the figure shows
            for task, sums in step.tasks.items():
                by_task[task].append(sums.loss_sum / max(sums.tokens, 1))
        if not all(by_task.values()):
            return None
        refiner, *others = (statistics.fmean(by_task[task]) for task in reversed(TASKS))
        return refiner - statistics.fmean(others)

    pairs = _paired(evidence, recipe, "exp1_natural", "exp1_balanced", gap)
    values = over_seeds([natural - balanced for natural, balanced in pairs])
    return larger("Refiner's true loss above the other tasks', natural - balanced", values)


# --- experiments 2 and 3


def smaller_batch(evidence: Evidence, recipe: str) -> Outcome:
    pairs = _batch_pairs(evidence, recipe, lambda run: run.score("eval_loss"))
    return _larger_in_pairs("eval loss, batch 8 - batch 4", pairs)


def smaller_batch_published(evidence: Evidence) -> Outcome:
    runs = evidence.published.runs
    values = [
        runs[f"exp3_bs8_lr{name}"].best_eval_loss - runs[f"exp3_bs4_lr{name}"].best_eval_loss
        for name in ("3e-5", "5e-5", "1e-4")
    ]
    text = ", ".join(f"{value:+.3f}" for value in values)
    return Outcome(f"its own numbers, batch 8 - batch 4: {text}", min(values) > 0)


def batch_8_overfits(evidence: Evidence, recipe: str) -> Outcome:
    def gap(run: Run) -> float:
        last = run.training.epochs[-1]
        return last.eval_loss - last.train_loss

    pairs = _batch_pairs(evidence, recipe, gap)
    return _larger_in_pairs("evaluation - training loss at the end, batch 8 - batch 4", pairs)


def overfits_published(evidence: Evidence) -> Outcome:
    gaps = {
        batch: statistics.fmean(
            log[-1].eval_loss - log[-1].train_loss
            for name, run in evidence.published.runs.items()
            if name.startswith(f"exp3_bs{batch}") and (log := run.log)
        )
        for batch in (4, 8)
    }
    return Outcome(
        f"evaluation - training loss at the end: {gaps[8]:.3f} (batch 8), {gaps[4]:.3f} (batch 4)",
        gaps[8] > gaps[4],
    )


def slow_rate_underfits(evidence: Evidence, recipe: str) -> Outcome:
    grid = evidence.grid(recipe)
    pairs = [
        (seed, run.score("eval_loss") - grid[(1e-4, batch, seed)].score("eval_loss"))
        for (rate, batch, seed), run in grid.items()
        if rate == 3e-5 and (1e-4, batch, seed) in grid
    ]
    return _larger_in_pairs("eval loss, 3e-5 - 1e-4", pairs)


def slow_rate_published(evidence: Evidence) -> Outcome:
    runs = evidence.published.runs
    slow, fast = (runs[f"exp3_bs4_lr{name}"].best_eval_loss for name in ("3e-5", "1e-4"))
    return Outcome(f"eval loss {slow:.3f} (3e-5), {fast:.3f} (1e-4), batch 4", slow > fast)


def chosen_is_best(evidence: Evidence, recipe: str) -> Outcome:
    """Its rank, and by how much the best of the others has the higher evaluation loss."""
    grid = [name for name in evidence.names(recipe) if name.startswith("exp3")]
    ranks = {}
    for metric in ("eval_loss", "rouge_l"):
        found = {name: evidence.score(recipe, name, metric) for name in grid}
        means = {name: score.value for name, score in found.items() if score}
        if CHOSEN not in means or len(means) < 2:
            return Outcome("not measured")
        ranks[metric] = (*_rank(means, CHOSEN, lowest=metric == "eval_loss"), means)
    place, count, losses = ranks["eval_loss"]
    rival = min((name for name in losses if name != CHOSEN), key=losses.get)
    pairs = _paired(evidence, recipe, rival, CHOSEN, lambda run: run.score("eval_loss"))
    return larger(
        f"rank {place} of {count} by eval loss, {ranks['rouge_l'][0]} by ROUGE-L; eval loss, "
        f"{rival} - this",
        over_seeds([other - own for other, own in pairs]),
    )


def chosen_published(evidence: Evidence) -> Outcome:
    grid = {k: v for k, v in evidence.published.runs.items() if v.experiment == 3}
    loss = _rank({k: v.best_eval_loss for k, v in grid.items()}, CHOSEN, lowest=True)
    rouge = _rank({k: v.rouge_l_val for k, v in grid.items()}, CHOSEN, lowest=False)
    return Outcome(
        f"its own numbers: rank {loss[0]} of {loss[1]} by eval loss, {rouge[0]} by ROUGE-L; first "
        "by exact match, for one row in 203",
        loss[0] == 1,
    )


def rouge_rose(evidence: Evidence, recipe: str) -> Outcome:
    pairs = _paired(
        evidence, recipe, "exp1_balanced", CHOSEN, lambda run: run.score("rouge_l_decoded")
    )
    if not pairs:
        return Outcome("not measured")
    first, last = (statistics.fmean(each) for each in zip(*pairs, strict=True))
    rises = over_seeds([after - before for before, after in pairs])
    return larger(f"{first:.3f} to {last:.3f}; rise", rises)


# --- what the scores can say at all


def exact_match_is_zero(evidence: Evidence, recipe: str) -> Outcome:
    """As the notebooks compared: with what the tokenizer can write of the answer."""
    split = evidence.held_out(recipe)
    scores = {
        name: score
        for name in evidence.names(recipe)
        if (score := evidence.score(recipe, name, "exact_match_decoded", split))
    }
    if not scores:
        return Outcome("not measured")
    best = max(scores, key=lambda name: scores[name].value)
    text = f"highest {scores[best]} ({best}, {split} rows)"
    audit = evidence.fit.get(recipe)
    if audit:
        text += (
            f"; within reach at most {audit['all']['max_exact_match_decoded']:.3f}, "
            f"{audit['all']['max_exact_match']:.3f} against the raw answer"
        )
    return Outcome(text, scores[best].value == 0)


def decomposer_usable(evidence: Evidence, recipe: str) -> Outcome:
    """Exact match with the raw answer, of the run that the validation rows choose."""
    seeds = best_runs(run for run in evidence.runs if run.recipe == recipe)[recipe]
    split = evidence.held_out(recipe)
    score = evidence.score(recipe, seeds[0].name, "exact_match", split, "Decomposer")
    if score is None:
        return Outcome("not measured")
    text = f"exact match of {seeds[0].name}, Decomposer, {split} rows: {score}"
    return Outcome(text, False) if score.value == 0 else above_zero(text, score)


def answers_too_long(evidence: Evidence, recipe: str) -> Outcome:
    audit = evidence.fit.get(recipe)
    if not audit:
        return Outcome("no fit audit")
    cut = audit["all"]["targets_cut"] / max(audit["all"]["rows"], 1)
    limits, longer = audit["settings"], audit["all"]["longer_than_generation"]
    return Outcome(
        f"{cut:.1%} of the answers are longer than {limits['target_tokens']} tokens, {longer:.1%} "
        f"longer than the {limits['generate_tokens']} that are generated",
        cut > 0.01,
    )


def rows_not_linked(evidence: Evidence, recipe: str) -> Outcome:
    share = evidence.linked_rows
    measured = evidence.score(recipe, CHOSEN, "execution_accuracy", evidence.held_out(recipe))
    linked = evidence.score(recipe, CHOSEN, "linked_rate", evidence.held_out(recipe))
    text = f"{share:.1%} of the rows name their database"
    if linked:
        text += f", {linked.value:.1%} of those answered could be linked to one"
    if measured:
        text += f"; execution accuracy {measured}"
    return Outcome(text, share == 0 if share == share else None)


# --- helpers


def _paired(
    evidence: Evidence, recipe: str, first: str, second: str, value: Callable[[Run], float | None]
) -> list[tuple[float, float]]:
    """(value of the first run, value of the second) for each seed that has both."""
    others = {run.seed: value(run) for run in evidence.named(recipe, second)}
    pairs = [(value(run), others.get(run.seed)) for run in evidence.named(recipe, first)]
    return [pair for pair in pairs if None not in pair]


def _batch_pairs(
    evidence: Evidence, recipe: str, value: Callable[[Run], float]
) -> list[tuple[int, float]]:
    """(seed, value(batch 8) - value(batch 4)) for each learning rate and seed."""
    grid = evidence.grid(recipe)
    return [
        (seed, value(run) - value(grid[(rate, 4, seed)]))
        for (rate, batch, seed), run in grid.items()
        if batch == 8 and (rate, 4, seed) in grid
    ]


def _larger_in_pairs(name: str, pairs: list[tuple[int, float]]) -> Outcome:
    """Pairs of one seed share their rows: each seed counts once, with its mean."""
    by_seed: dict[int, list[float]] = {}
    for seed, value in pairs:
        by_seed.setdefault(seed, []).append(value)
    means = [statistics.fmean(values) for values in by_seed.values()]
    return larger(f"{name}, mean of {len(pairs)} pairs", over_seeds(means))


def _rank(values: dict[str, float], name: str, lowest: bool) -> tuple[int, int]:
    ordered = sorted(values, key=lambda each: values[each] if lowest else -values[each])
    return ordered.index(name) + 1, len(ordered)
