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

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json, write_text, written_whole
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.model_card import model_card
from workflow_scripts.runs import Training
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import COUNT, PREDICTIONS, SCORES, TEXT, read_table
from workflow_scripts.text.preprocessing import SEPARATOR, TEMPLATE_DATE, source_text

USES_FILES = ["templates/model_card.md", "templates/exported_card.md"]
ADAPTERS = ("adapters/adapter_config.json", "adapters/adapter_model.safetensors")
SPLITS = ("unseen", "test", "val")  # where examples are taken from: the first that was answered
# Every version of the library knows this name; what it writes itself, its older ones do not.
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
WIDTH = 84  # of a piece of a prompt in the card's code


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


def export(
    run: Annotated[Path, Setting("folder of the run")],
    scores: Annotated[Path, Input("scores.parquet with this run")],
    reading: Annotated[dict, Input("reading.json: the file of the rows")],
    rows: Annotated[Path, Input("rows.parquet")],
    predictions: Annotated[Path, Input("predictions.parquet of the run")],
    card: Annotated[Path, Output("README.md; the model's files go beside it")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
    base: Annotated[str | None, Setting("name of the base model on the Hub")] = None,
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
        "exported_card.md",
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
