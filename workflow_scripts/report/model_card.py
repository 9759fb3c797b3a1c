"""The card of each run's model, in Hugging Face's form: how it was made, how good, its limits."""

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.frames import select
from workflow_scripts.report.html import ENVIRONMENT
from workflow_scripts.report.means import METRICS, WORDS, rate, written
from workflow_scripts.runs import Provenance, Training
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import SCORES, read_table

USES_FILES = ["templates/model_card.md"]
# The Hub's names for what models of an architecture do.
TASK_TYPES = {"encoder-decoder": "text2text-generation", "causal": "text-generation"}
SHOWN = ["exact_match", "exact_match_at_most", "rouge_l", "execution_accuracy",
         "execution_accuracy_lenient"]  # fmt: skip
SPLITS = WORDS["splits"]


def model_card(
    folder: Path,
    scores: pd.DataFrame,
    reading: dict[str, Any],
    note: str,
    base: str | None,
    template: str = "model_card.md",
    library: str = "transformers",
    **more: Any,
) -> str:
    """`scores`: of all runs; `base`: the base model on the Hub; `more`: for another template."""
    training = Training.read(folder / "training.json")
    name = f"{training.recipe} {training.run}, seed {training.seed}"
    task_type = TASK_TYPES[training.settings.model.architecture]
    own = select(scores, recipe=training.recipe, run=training.run, seed=training.seed)
    own = own[own.metric.isin(SHOWN) & own.value.notna()]
    results = [
        EvalResult(
            task_type=task_type,
            dataset_type=reading["file"]["sha256"],
            dataset_name=reading["file"]["name"],
            dataset_config=score.task,  # their tools tell results apart by it and by the split
            dataset_split=score.split,
            metric_type=score.metric,
            metric_name=f"{METRICS[score.metric]} (n = {score.n})",
            metric_value=score.value,
        )
        for score in own.itertuples()
    ]
    header = ModelCardData(
        language="en", library_name=library, pipeline_tag=task_type, base_model=base,
        tags=["text-to-sql", "mac-sql"], model_name=name, eval_results=results,
    )  # fmt: skip
    cells = own.set_index(["split", "task", "metric"])[["value", "low", "high", "n"]]
    highest = select(own, metric="exact_match_at_most", task="all").query("value < 1")
    return ENVIRONMENT.get_template(template).render(
        header=header.to_yaml(),
        name=name,
        training=training,
        facts=Provenance.read(folder / "provenance.json"),
        settings=training.settings,
        learning_rate=rate(training.settings.run.learning_rate),
        reading=reading,
        note=note,
        library=library,
        base=base or Provenance.read(folder / "provenance.json").base.folder,
        metrics={metric: METRICS[metric] for metric in SHOWN},
        tasks=("all", *TASKS),
        splits={split: words for split, words in SPLITS.items() if split in set(own.split)},
        cells={key: f"{written(*cell[:3])}, n = {cell[3]:.0f}"
               for key, cell in zip(cells.index, cells.to_numpy(float), strict=True)},
        highest=highest.set_index("split").value.to_dict(),
        **more,
    )  # fmt: skip


def write_model_cards(
    runs: Annotated[list[Path], Setting("run folders")],
    scores: Annotated[Path, Input("scores.parquet with these runs")],
    reading: Annotated[dict, Input("reading.json: the file of the rows")],
    cards: Annotated[list[Path], Output("README.md of each run's model, in the same order")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    base: Annotated[str | None, Setting("name of the base model on the Hub")] = None,
) -> None:
    table = read_table(scores, SCORES)
    for folder, card in zip(runs, cards, strict=True):
        write_text(card, model_card(folder, table, reading, note, base))


if __name__ == "__main__":
    run_stage(write_model_cards)
