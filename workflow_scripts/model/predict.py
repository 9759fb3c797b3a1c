"""Answer rows with a fine-tuned model: greedy decoding, every answer saved.

Computing is in float32 on every device: an answer must not depend on how a batch was rounded.
"""

from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.artifacts.parquet import write_rows
from workflow_scripts.artifacts.settings import Recipe, Settings
from workflow_scripts.artifacts.tables import SPLITS, TEST_SPLITS, BoundedPrediction, Row
from workflow_scripts.errors import EssenceError
from workflow_scripts.model.batches import read_sample
from workflow_scripts.model.device import choose_device
from workflow_scripts.model.load import check_base, load_model
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.text.preprocessing import encode_sources, encode_targets
from workflow_scripts.text.tokenizers import decode, load_tokenizer


def answer_rows(
    model: Any,
    tokenizer: Any,
    recipe: Recipe,
    rows: dict[str, list[Row]],
    batch_size: int,
    constrained: bool = False,
) -> list[BoundedPrediction]:
    """An answer a row, in the order of `rows` (split -> rows)."""
    from workflow_scripts.model.constraint import selector_constraints
    from workflow_scripts.model.decoding import generate

    asked = [row for of_split in rows.values() for row in of_split]
    splits = [split for split, of_split in rows.items() for _ in of_split]
    sources = encode_sources(asked, recipe, tokenizer)
    labels = encode_targets(asked, recipe, tokenizer)
    answers = generate(
        model,
        sources,
        tokenizer.pad_token_id,
        recipe.generate_tokens,
        batch_size,
        constraints=selector_constraints(asked, tokenizer) if constrained else (),
    )
    inputs = {source: number for number, source in enumerate(dict.fromkeys(map(tuple, sources)))}
    # The end token need not be written for the text to be whole.
    limit = recipe.generate_tokens + tokenizer.num_special_tokens_to_add()
    return [
        BoundedPrediction(
            split=split,
            idx=row.idx,
            task=row.task,
            db_id=row.db_id,
            question=row.question,
            gold=row.target,
            gold_decoded=decode(tokenizer, label),
            prediction=decode(tokenizer, answer),
            prediction_tokens=len(answer),
            cut=answer[-1] != model.generation_config.eos_token_id,
            input=inputs[tuple(source)],
            reachable=len(label) <= limit,
        )
        for split, row, source, label, answer in zip(
            splits, asked, sources, labels, answers, strict=True
        )
    ]


def predict(
    settings: Annotated[Settings, Setting("the run's settings as JSON, or a file with them")],
    model: Annotated[Path, Setting("folder of the model")],
    out: Annotated[Path, Output("predictions.parquet")],
    train: Annotated[Path | None, Input("rows of the split train")] = None,
    val: Annotated[Path | None, Input("rows of the split val")] = None,
    test: Annotated[Path | None, Input("rows of the split test")] = None,
    unseen: Annotated[Path | None, Input("rows of the split unseen")] = None,
    other: Annotated[Path | None, Input("rows of the split other")] = None,
    splits: Annotated[list[str], Setting("those to answer, of which rows are given")] = (
        "val",
        *TEST_SPLITS,
    ),
    batch_size: Annotated[int, Setting("rows answered at a time")] = 32,
    constrained: Annotated[
        bool, Setting("whether a Selector can write nothing but JSON of its schema's names")
    ] = False,
    threads: Annotated[int, Setting("CPU threads of torch")] = 1,
) -> None:
    """Raises EssenceError when no rows are given, or the model cannot be used."""
    check_base(model)
    given = {"val": val, "test": test, "unseen": unseen, "other": other, "train": train}
    if unknown := set(splits) - set(SPLITS):
        raise EssenceError(
            f"--splits: unknown {', '.join(sorted(unknown))}. Known: {' '.join(SPLITS)}"
        )
    rows = {split: read_sample(path, settings) for split in splits if (path := given[split])}
    if not rows:
        raise EssenceError(
            f"nothing to answer: give --{', --'.join(SPLITS)} and name it in --splits"
        )
    device = choose_device(settings.device, "fp32", threads)
    tokenizer = load_tokenizer(model, settings.recipe.tokenizer)
    on_device = load_model(model).eval().to(device.kind)
    answers = answer_rows(on_device, tokenizer, settings.recipe, rows, batch_size, constrained)
    write_rows(out, BoundedPrediction, answers)


if __name__ == "__main__":
    run_stage(predict)
