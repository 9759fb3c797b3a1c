"""The report's claims in words: each with its test, and what the report itself shows for it.

A new claim is one entry in CLAIMS; the artefacts that could have produced it name it in
resources/artefacts.yaml.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workflow_scripts.artifacts.claims import Column
from workflow_scripts.report.claims import answers, grid, mix
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import Outcome, found

NOT_TRAINED = Outcome("not trained here")


@dataclass(frozen=True)
class Claim:
    """A claim in words.

    `published` gives what the report shows for it; `untestable` says why nothing can be measured,
    and `of_the_rows` that it speaks of the report's rows alone. Where the ablation can tell which
    of several artefacts it was, `ablated` is the metric that it goes by, and the limit that the
    metric stays below with an artefact that suffices.
    """

    id: str
    text: str
    test: Callable[[Evidence, str], Outcome]
    published: Callable[[Evidence], Outcome]
    untestable: str = ""
    of_the_rows: bool = False
    ablated: tuple[str, float] | None = None

    def outcomes(self, evidence: Evidence) -> dict[Column, Outcome]:
        def outcome(recipe: str) -> Outcome:
            return self.test(evidence, recipe) if evidence.of_recipe(recipe) else NOT_TRAINED

        return evidence.by_column(outcome)


def stated(text: str) -> Callable[[Evidence], Outcome]:
    """What the report shows for a claim, where that is no number to be tested."""
    return lambda evidence: found(text, True)


CLAIMS = (
    Claim(
        "balancing_stabilises",
        "Balancing the tasks stabilises training (6, experiment 1)",
        mix.balancing_stabilises,
        mix.balancing_published,
    ),
    Claim(
        "balancing_is_fair",
        "Balancing ensures fairer learning across the tasks (6, experiment 1)",
        mix.balancing_is_fair,
        stated("said of Figure 5.4, which holds one curve drawn three times"),
    ),
    Claim(
        "refiner_deviates",
        "The Refiner deviates on the natural mix because it is rare (6, Figure 5.2)",
        mix.refiner_deviates,
        stated("said of Figure 5.2, which holds one curve drawn three times"),
    ),
    Claim(
        "smaller_batch",
        "Smaller batches suit small data better (6, experiment 3)",
        grid.smaller_batch,
        grid.smaller_batch_published,
    ),
    Claim(
        "batch_8_overfits",
        "Batch 8 overfits (6, Figures 5.5 to 5.7)",
        grid.batch_8_overfits,
        grid.overfits_published,
    ),
    Claim(
        "slow_rate_underfits",
        "A learning rate of 3e-5 is too low and underfits (6, experiment 3)",
        grid.slow_rate_underfits,
        grid.slow_rate_published,
    ),
    Claim(
        "chosen_is_best",
        "Learning rate 1e-4 with batch 4 is best (6, experiments 3 and 4)",
        grid.chosen_is_best,
        grid.chosen_published,
    ),
    Claim(
        "rouge_rose",
        "ROUGE-L rose from 0.19 to 0.40 (6, experiments 3 and 4)",
        grid.rouge_rose,
        stated("0.193 to 0.403"),
    ),
    Claim(
        "exact_match_zero",
        "Exact match is 0 in all models, perhaps because of brackets (6)",
        answers.exact_match_is_zero,
        stated("0 in nine runs, 1 row in 203 in the tenth"),
        ablated=("exact_match_decoded", answers.NEGLIGIBLE),
    ),
    Claim(
        "decomposer_usable",
        "Fine-tuning yields usable, partially accurate Decomposer answers (7)",
        answers.decomposer_usable,
        stated("judged by eye on two rows"),
        ablated=("execution_accuracy_lenient", answers.USABLE),
    ),
    Claim(
        "answers_too_long",
        "An output of 512 tokens is too short (6, experiment 4)",
        answers.answers_too_long,
        stated("judged by eye on six rows; 128 tokens were generated, not 512"),
        of_the_rows=True,
    ),
    Claim(
        "rows_not_linked",
        "Rows cannot be linked to databases, so execution accuracy is out of reach (3.2)",
        answers.rows_not_linked,
        stated("not computed"),
        of_the_rows=True,
    ),
    Claim(
        "liger_kernel",
        "use_liger_kernel raises GPU throughput (4.2)",
        lambda evidence, recipe: Outcome(""),
        stated("not measured"),
        untestable="liger-kernel has no T5: the switch changes nothing (A8), so nothing can be "
        "measured",
    ),
)
