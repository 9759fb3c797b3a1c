"""Answer rows with a fine-tuned model: greedy decoding, every answer saved.

Computing is in float32 on every device: an answer must not depend on how a batch was rounded.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.model import say
from workflow_scripts.model.batches import read_sample
from workflow_scripts.model.device import choose_device
from workflow_scripts.model.load import check_base, load_model
from workflow_scripts.runs import STOP, Answering
from workflow_scripts.settings import SPLITS, TEST_SPLITS, Settings
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import PREDICTIONS, Prediction, Row, write_table
from workflow_scripts.text.preprocessing import ModelInput, model_input
from workflow_scripts.text.tokenizers import decode


def answer_rows(
    model: Any,
    reads: ModelInput,
    rows: dict[str, list[Row]],
    batch_size: int,
    constrained: bool = False,
) -> list[Prediction]:
    """One answer per row, in the order of `rows` (split -> rows)."""
    from workflow_scripts.model.constraint import Constraints
    from workflow_scripts.model.decoding import end_tokens, generate

    pairs = [(split, row) for split, of_split in rows.items() for row in of_split]
    recipe, tokenizer, ends = reads.recipe, reads.tokenizer, end_tokens(model)
    sources = reads.sources([row.source for _, row in pairs])
    labels = reads.targets([row.target for _, row in pairs])
    made = Constraints(tokenizer) if constrained else None
    say(f"{len(sources)} rows, {len(set(map(tuple, sources)))} distinct sources")
    answers = generate(
        model,
        sources,
        reads.pad,
        recipe.generate_tokens,
        batch_size,
        forms=[made.of(row.task, row.schema, row.foreign_keys) for _, row in pairs] if made else (),
    )
    inputs = {source: number for number, source in enumerate(dict.fromkeys(map(tuple, sources)))}
    # The end token need not be written for the text to be whole.
    limit = recipe.generate_tokens + reads.around_target
    return [
        Prediction(
            split=split,
            idx=row.idx,
            task=row.task,
            db_id=row.db_id,
            question=row.question,
            gold=row.target,
            gold_decoded=decode(tokenizer, label),
            prediction=decode(tokenizer, answer),
            prediction_tokens=len(answer),
            cut=answer[-1] not in ends,
            input=inputs[tuple(source)],
            reachable=len(label) <= limit,
        )
        for (split, row), source, label, answer in zip(pairs, sources, labels, answers, strict=True)
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
    constrained: Annotated[bool, Setting("whether answers keep to names of their schema")] = False,
    threads: Annotated[int, Setting("CPU threads of torch")] = 1,
    summary: Annotated[Path | None, Output("answering.json: what answering took")] = None,
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
    reads = model_input(model, settings.recipe)
    on_device = load_model(model).eval().to(device.kind)
    started = time.perf_counter()
    answers = answer_rows(on_device, reads, rows, batch_size, constrained)
    seconds = time.perf_counter() - started
    write_table(out, answers, PREDICTIONS)
    if summary:
        distinct = {answer.input: answer for answer in answers}.values()
        ended = Counter("length" if answer.cut else STOP for answer in distinct)
        Answering(
            model=str(model),
            served=[],
            asked=len(answers),
            answers=len(distinct),
            ended=dict(sorted(ended.items())),
            input_tokens=None,
            output_tokens=sum(answer.prediction_tokens for answer in distinct),
            cost=None,
            seconds=round(seconds, 3),
        ).write(summary)


if __name__ == "__main__":
    run_stage(predict)
