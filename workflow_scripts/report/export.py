"""A run's model as a folder to hand on: all that its library needs, and a card.

transformers loads it without this project, and its `generate` answers as the pipeline did. Of a run
that trained adapters it has these alone, for the library peft. The card says how prompts are
written, by words, examples and code that runs.
"""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json, write_text, written_whole
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.frames import select
from workflow_scripts.report.html import ENVIRONMENT
from workflow_scripts.report.means import METRICS, WORDS, rate, written
from workflow_scripts.runs import Provenance, Training
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, PREDICTIONS, SCORES, TEXT, read_table
from workflow_scripts.text.preprocessing import SEPARATOR, TEMPLATE_DATE, source_text

USES_FILES = ["templates/model_card.md"]
ADAPTERS = ("adapters/adapter_config.json", "adapters/adapter_model.safetensors")
SPLITS = ("unseen", "test", "val")  # where examples are taken from: the first that was answered
# Every version of the library knows this name; what it writes itself, its older ones do not.
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
WIDTH = 84  # of a piece of a prompt in the card's code
TASK = "text-generation"  # the Hub's name for what all of them do; that of encoder-decoders is gone
ON_HUB = ["exact_match", "rouge", "execution_accuracy"]  # the metrics by the Hub's names
SHOWN = ["exact_match", "exact_match_at_most", "rouge_l", "execution_accuracy",
         "execution_accuracy_lenient"]  # fmt: skip


def examples(
    rows: Path, predictions: pd.DataFrame, recipe: Recipe, split: str
) -> dict[str, dict[str, Any]]:
    """The shortest prompt of each task, of right answers if any; `pieces`: as Python writes it."""
    answered = predictions[predictions.split == split]
    answered = answered.merge(read_table(rows, {"idx": COUNT, "source": TEXT}), on="idx")
    answered["prompt"] = [source_text(recipe, source) for source in answered.source]
    answered["wrong"] = answered.prediction != answered.gold
    answered["length"] = [len(prompt) for prompt in answered.prompt]
    order = answered.sort_values(["wrong", "length", "prompt"]).drop_duplicates("task")
    shown = {each["task"]: each for each in order.to_dict("records")}
    for each in shown.values():
        starts = range(0, len(each["prompt"]), WIDTH)
        each["pieces"] = [repr(each["prompt"][start : start + WIDTH]) for start in starts]
    return {task: shown[task] for task in TASKS if task in shown}


def model_card(
    folder: Path,
    scores: pd.DataFrame,
    reading: dict[str, Any],
    note: str,
    base: str | None,
    dataset: str | None = None,
    license: str | None = None,
    **more: Any,
) -> str:
    """`scores`: of all runs; `base`, `dataset`: names on the Hub; `more`: for the template."""
    training = Training.read(folder / "training.json")
    name = f"{training.recipe} {training.run}, seed {training.seed}"
    own = select(scores, recipe=training.recipe, run=training.run, seed=training.seed)
    own = own[own.metric.isin(SHOWN) & own.value.notna()]
    results = [
        EvalResult(
            task_type=TASK,
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
    terms = {"license": license}
    if base and not license:
        page = f"https://huggingface.co/{base}"
        terms = {"license": "other", "license_name": "of-the-base-model", "license_link": page}
    header = ModelCardData(
        language="en", library_name=more["library"], pipeline_tag=TASK, base_model=base,
        tags=["text-to-sql", "mac-sql"], model_name=name, eval_results=results, metrics=ON_HUB,
        datasets=[dataset] if dataset else None, **terms,
    )  # fmt: skip
    cells = own.set_index(["split", "task", "metric"])[["value", "low", "high", "n"]]
    highest = select(own, metric="exact_match_at_most", task="all").query("value < 1")
    return ENVIRONMENT.get_template("model_card.md").render(
        header=header.to_yaml(),
        name=name,
        training=training,
        facts=Provenance.read(folder / "provenance.json"),
        settings=training.settings,
        learning_rate=rate(training.settings.run.learning_rate),
        reading=reading,
        note=note,
        base=base or Provenance.read(folder / "provenance.json").base.folder,
        metrics={metric: METRICS[metric] for metric in SHOWN},
        tasks=("all", *TASKS),
        splits={name: WORDS["splits"][name] for name in WORDS["splits"] if name in set(own.split)},
        cells={key: f"{written(*cell[:3])}, n = {cell[3]:.0f}"
               for key, cell in zip(cells.index, cells.to_numpy(float), strict=True)},
        highest=highest.set_index("split").value.to_dict(),
        **more,
    )  # fmt: skip


def export(
    run: Annotated[Path, Setting("folder of the run")],
    scores: Annotated[Path, Input("scores.parquet with this run")],
    reading: Annotated[dict, Input("reading.json: the file of the rows")],
    rows: Annotated[Path, Input("rows.parquet")],
    predictions: Annotated[Path, Input("predictions.parquet of the run")],
    card: Annotated[Path, Output("README.md; the model's files go beside it")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    base: Annotated[str | None, Setting("name of the base model on the Hub")] = None,
    dataset: Annotated[str | None, Setting("name of the rows on the Hub")] = None,
    license: Annotated[str | None, Setting("of the model; None: that of `base`")] = None,
    constrained: Annotated[bool, Setting("whether the predictions were constrained")] = False,
) -> None:
    """Raises EssenceError where no answer can be an example."""
    settings = Training.read(run / "training.json").settings
    recipe, folder, causal = settings.recipe, card.parent, settings.model.architecture == "causal"
    answered = read_table(predictions, PREDICTIONS)
    split = next((name for name in SPLITS if (answered.split == name).any()), "")
    shown = examples(rows, answered, recipe, split)
    if not shown:
        raise EssenceError(
            f"{predictions}: no answer to a row of {', '.join(SPLITS)}, so the card has no "
            "example. Name one of these in prediction.splits."
        )
    adapters = settings.model.lora is not None
    weights = ADAPTERS if adapters else ("model/model.safetensors", "model/config.json")
    for name in (*weights, "model/tokenizer.json"):
        with written_whole(folder / Path(name).name) as temporary:
            shutil.copyfile(run / name, temporary)
    generation = {"max_new_tokens": recipe.generate_tokens, "do_sample": False}
    # A decoder-only model's own limit also counts what stands around a source, and the answer.
    tokenizer = {} if causal else {"model_max_length": recipe.source_tokens}
    configured = {"tokenizer_config": tokenizer | {"tokenizer_class": TOKENIZER_CLASS}}
    for name, own in (configured | ({} if adapters else {"generation_config": generation})).items():
        write_json(folder / f"{name}.json", read_json(run / f"model/{name}.json") | own)
    text = model_card(
        run,
        read_table(scores, SCORES),
        reading,
        note,
        base,
        dataset,
        license,
        example=shown.get("Decomposer") or next(iter(shown.values())),
        prompts={task: example["prompt"] for task, example in shown.items()},
        constrained=constrained,
        causal=causal,
        library="peft" if adapters else "transformers",
        separator=json.dumps(SEPARATOR),
        date=TEMPLATE_DATE,
        chat="chat_template" in read_json(folder / "tokenizer_config.json"),
    )
    write_text(card, text)


if __name__ == "__main__":
    run_stage(export)
