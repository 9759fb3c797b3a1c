"""The report's claims in words, each with its test, the report's own numbers and the suspects."""

from workflow_scripts.report.claims import measure as tests
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.measure import Outcome, Sentence


def said(text: str, holds: bool | None = True) -> "tests.Callable[[Evidence], Outcome]":
    return lambda evidence: Outcome(text, holds)


SENTENCES = (
    Sentence(
        "Balancing the tasks stabilises training (6, experiment 1)",
        tests.balancing_stabilises,
        tests.balancing_published,
        suspects=("A3",),
    ),
    Sentence(
        "Balancing ensures fairer learning across the tasks (6, experiment 1)",
        tests.balancing_is_fair,
        said("said of Figure 5.4, which holds one curve drawn three times"),
        suspects=("A7",),
    ),
    Sentence(
        "The Refiner deviates on the natural mix because it is rare (6, Figure 5.2)",
        tests.refiner_deviates,
        said("said of Figure 5.2, which holds one curve drawn three times"),
        suspects=("A7",),
    ),
    Sentence(
        "Smaller batches suit small data better (6, experiment 3)",
        tests.smaller_batch,
        tests.smaller_batch_published,
        suspects=("A3",),
    ),
    Sentence(
        "Batch 8 overfits (6, Figures 5.5 to 5.7)",
        tests.batch_8_overfits,
        tests.overfits_published,
        suspects=("A3",),
    ),
    Sentence(
        "A learning rate of 3e-5 is too low and underfits (6, experiment 3)",
        tests.slow_rate_underfits,
        tests.slow_rate_published,
        suspects=("A3",),
    ),
    Sentence(
        "Learning rate 1e-4 with batch 4 is best (6, experiments 3 and 4)",
        tests.chosen_is_best,
        tests.chosen_published,
        suspects=("A3", "A10"),
    ),
    Sentence(
        "ROUGE-L rose from 0.19 to 0.40 (6, experiments 3 and 4)",
        tests.rouge_rose,
        said("0.193 to 0.403"),
        suspects=("A3", "A6"),
    ),
    Sentence(
        "Exact match is 0 in all models, perhaps because of brackets (6)",
        tests.exact_match_is_zero,
        said("0 in nine runs, 1 row in 203 in the tenth"),
        suspects=("A1", "A2", "A5"),
        ablated="exact_match_decoded",
    ),
    Sentence(
        "Fine-tuning yields usable, partially accurate Decomposer answers (7)",
        tests.decomposer_usable,
        said("judged by eye on two rows"),
        suspects=("A1", "A2"),
    ),
    Sentence(
        "An output of 512 tokens is too short (6, experiment 4)",
        tests.answers_too_long,
        said("judged by eye on six rows; 128 tokens were generated, not 512"),
        suspects=("A5",),
        of_the_rows=True,
    ),
    Sentence(
        "Rows cannot be linked to databases, so execution accuracy is out of reach (3.2)",
        tests.rows_not_linked,
        said("not computed"),
        of_the_rows=True,
    ),
    Sentence(
        "use_liger_kernel raises GPU throughput (4.2)",
        None,
        said("not measured"),
        needs="liger-kernel has no T5: the switch changes nothing (A8), so nothing can be measured",
    ),
)
