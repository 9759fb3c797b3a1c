"""The card of each run's model: what it is, from what and how it was made, how good, its limits.

The form is Hugging Face's: a YAML header that their tools read, Markdown below it. It lies beside
the weights, as `README.md`, and is written after the scores; training and answering do not read it.
"""

from pathlib import Path
from typing import Annotated, Any

from huggingface_hub import EvalResult, ModelCardData

from workflow_scripts.artifacts.data import Reading
from workflow_scripts.artifacts.runs import Score
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.numbers import rate
from workflow_scripts.report.pages.html import ENVIRONMENT
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Input, Output, Setting, run_stage

USES_FILES = ["templates/model_card.md"]
# The Hub's names for what models of an architecture do.
TASK_TYPES = {"encoder-decoder": "text2text-generation", "causal": "text-generation"}
METRICS = {
    "exact_match": "exact match",
    "exact_match_at_most": "highest exact match that these inputs allow",
    "rouge_l": "ROUGE-L",
    "execution_accuracy": "execution accuracy",
    "execution_accuracy_lenient": "execution accuracy, SQL in any form",
}
SPLITS = {
    "val": "validation rows, which chose the epoch unless a run was scored on another's",
    "test": "rows kept from all training; other rows about their databases were trained on",
    "unseen": "rows of databases that no run has seen",
    "other": "rows of another file and its databases",
    "train": "rows that it was trained on",
}


def model_card(
    run: Run,
    reading: Reading,
    note: str,
    base: str | None,
    template: str = "model_card.md",
    **more: Any,
) -> str:
    """`note`: what rows and model were used; `base`: the base model's name on the Hub, if any.

    `more` is for a template that says more than the usual one.
    """
    scores = [each for each in run.scores if each.metric in METRICS and each.value is not None]
    header = ModelCardData(
        language="en",
        library_name="transformers",
        pipeline_tag=_task_type(run),
        tags=["text-to-sql", "mac-sql"],
        base_model=base,
        model_name=_name(run),
        eval_results=[_eval_result(score, reading, _task_type(run)) for score in scores],
    )
    return ENVIRONMENT.get_template(template).render(
        header=header.to_yaml(),
        name=_name(run),
        training=run.training,
        facts=run.provenance,
        settings=run.training.settings,
        learning_rate=rate(run.training.settings.learning_rate),
        reading=reading,
        note=note,
        metrics=METRICS,
        measured=_measured(scores),
        limits=_limits(run, scores),
        **more,
    )


def _name(run: Run) -> str:
    return f"{run.recipe} {run.name}, seed {run.seed}"


def _task_type(run: Run) -> str:
    return TASK_TYPES[run.training.settings.model.architecture]


def _eval_result(score: Score, reading: Reading, task_type: str) -> EvalResult:
    return EvalResult(
        task_type=task_type,
        dataset_type=reading.file.sha256,
        dataset_name=reading.file.name,
        dataset_config=score.task,  # their tools tell results apart by it and by the split
        dataset_split=score.split,
        metric_type=score.metric,
        metric_name=f"{METRICS[score.metric]} (n = {score.n})",
        metric_value=score.value,
    )


def _measured(scores: list[Score]) -> dict[str, list[list[str]]]:
    """Words of a split -> a line for each task: its name, and a cell for each metric."""
    cells = {(each.split, each.task, each.metric): _cell(each) for each in scores}
    return {
        f"{split}: {words}": [
            [task, *(cells.get((split, task, metric), "") for metric in METRICS)]
            for task in ("all", *TASKS)
        ]
        for split, words in SPLITS.items()
        if any(each.split == split for each in scores)
    }


def _cell(score: Score) -> str:
    interval = "" if score.low is None else f" [{score.low:.3f}, {score.high:.3f}]"
    return f"{score.value:.3f}{interval}, n = {score.n}"


def _limits(run: Run, scores: list[Score]) -> list[str]:
    """What follows from its training and its scores, a sentence each."""
    training, found = run.training, []
    if not training.stopped_early:
        found.append(
            f"Training ended after {training.epochs_done} epochs, as planned, not because the loss "
            "on the validation rows had stopped falling; more epochs could lower it."
        )
    if before := run.provenance.base.run:
        found.append(f"It started from what the run {before} had learned from other rows.")
    if training.settings.run.sources == "other":
        found.append(
            "It is a control: each row was given the source of another row, so that its answers "
            "are right by chance alone."
        )
    found += [
        f"No model could exceed an exact match of {each.value:.3f} on these {each.split} rows: "
        "prompts are cut until inputs are equal, or the tokenizer cannot write the answers."
        for each in scores
        if (each.metric, each.task) == ("exact_match_at_most", "all") and each.value < 1
    ]
    return found


def write_model_cards(
    runs: Annotated[list[Run], Setting("run folders")],
    reading: Annotated[Reading, Input("reading.json: the file of the rows")],
    cards: Annotated[list[Path], Output("README.md of each run's model, in the same order")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    base: Annotated[str | None, Setting("name of the base model on the Hub")] = None,
) -> None:
    for run, card in zip(runs, cards, strict=True):
        write_text(card, model_card(run, reading, note, base))


if __name__ == "__main__":
    run_stage(write_model_cards)
