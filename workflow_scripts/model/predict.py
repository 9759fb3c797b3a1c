"""Answer rows with a fine-tuned model: batched greedy generation, every answer saved.

Equal sources get one generation, which saves most of the work where truncation has made the rows
of a task alike. Sources are taken by length, so that a batch holds little padding. Computing is in
float32 on every device: an answer must not depend on how a batch was rounded.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_parquet
from workflow_scripts.model.batches import encode_sources, encode_targets, pad_sources, read_rows
from workflow_scripts.model.device import Device, choose_device
from workflow_scripts.model.load import check_base, load_model
from workflow_scripts.model.settings import Settings

SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("idx", pa.int64()),
        ("task", pa.string()),
        ("db_id", pa.string()),
        ("question", pa.string()),
        ("gold", pa.string()),
        ("gold_decoded", pa.string()),
        ("prediction", pa.string()),
        ("prediction_tokens", pa.int64()),
        ("cut", pa.bool_()),
    ]
)
COPIED = ("split", "idx", "task", "db_id", "question")
SAY_EVERY = 10  # seconds


def generate(
    model: Any, sources: list[list[int]], pad: int, new_tokens: int, batch_size: int
) -> list[list[int]]:
    """Token ids of each answer, without the start token and padding, in the order of `sources`."""
    import torch

    distinct = sorted({tuple(source) for source in sources}, key=lambda ids: (len(ids), ids))
    print(f"{len(sources)} rows, {len(distinct)} distinct sources", file=sys.stderr, flush=True)
    answers: dict[tuple[int, ...], list[int]] = {}
    started = said = time.monotonic()
    while len(answers) < len(distinct):
        batch = distinct[len(answers) : len(answers) + batch_size]
        try:
            answers |= zip(batch, _answer(model, batch, pad, new_tokens), strict=True)
        except torch.OutOfMemoryError:
            batch_size = _smaller(batch_size)
            continue
        now = time.monotonic()
        if now - said > SAY_EVERY or len(answers) == len(distinct):
            left = int((now - started) / len(answers) * (len(distinct) - len(answers)))
            print(
                f"answered {len(answers)}/{len(distinct)}, ETA {left // 60}:{left % 60:02d}",
                file=sys.stderr,
                flush=True,
            )
            said = now
    return [answers[tuple(source)] for source in sources]


def _smaller(batch_size: int) -> int:
    if batch_size == 1:
        raise EssenceError(
            "the GPU has too little memory to answer a single row. Lower the recipe's "
            "source_tokens or generate_tokens, or set model.device to cpu."
        )
    print(f"out of GPU memory: {batch_size // 2} rows at a time", file=sys.stderr, flush=True)
    return batch_size // 2


def _answer(
    model: Any, sources: list[tuple[int, ...]], pad: int, new_tokens: int
) -> list[list[int]]:
    """Token ids of each answer up to and with its end mark."""
    import torch

    ids, mask = pad_sources([list(source) for source in sources], pad)
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
        )
    end = model.generation_config.eos_token_id
    return [
        answer[: answer.index(end) + 1] if end in answer else answer
        for answer in output[:, 1:].tolist()
    ]


def predict(
    settings: Settings, device: Device, folder: Path, rows: list[dict[str, Any]], batch_size: int
) -> pa.Table:
    """One line a row: its answer, and gold both as it is and as the tokenizer can write it."""
    from workflow_scripts.text.tokenizers import decode, load_tokenizer

    recipe = settings.recipe
    tokenizer = load_tokenizer(folder, recipe.tokenizer)
    model = load_model(folder).eval().to(device.kind)
    sources = encode_sources(rows, recipe, tokenizer)
    golds = encode_targets(rows, recipe, tokenizer)
    answers = generate(model, sources, tokenizer.pad_token_id, recipe.generate_tokens, batch_size)
    lines = [
        {
            **{key: row[key] for key in COPIED},
            "gold": row["target"],
            "gold_decoded": decode(tokenizer, gold),
            "prediction": decode(tokenizer, answer),
            "prediction_tokens": len(answer),
            "cut": answer[-1] != model.generation_config.eos_token_id,
        }
        for row, gold, answer in zip(rows, golds, answers, strict=True)
    ]
    return pa.Table.from_pylist(lines, schema=SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", required=True, help="settings as JSON, or a file with them")
    parser.add_argument("--model", required=True, type=Path, help="folder of the model")
    for split in ("train", "val", "test"):
        parser.add_argument(f"--{split}", type=Path, help=f"rows of the split {split}")
    parser.add_argument("--splits", default="val,test", help="which to answer (those given)")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--out", required=True, type=Path)
    arguments = parser.parse_args()
    settings = Settings.parse(arguments.settings)
    check_base(arguments.model)
    splits = arguments.splits.split(",")
    unknown = set(splits) - {"train", "val", "test"}
    if unknown:
        raise EssenceError(f"--splits: unknown {', '.join(sorted(unknown))}. Known: train,val,test")
    rows = [
        {**row, "split": split}
        for split in splits
        if (path := getattr(arguments, split))
        for row in read_rows(path)
    ]
    if not rows:
        raise EssenceError(
            "nothing to answer: give --train, --val or --test and name it in --splits"
        )
    device = choose_device(settings.device, "fp32", arguments.threads)
    write_parquet(
        arguments.out, predict(settings, device, arguments.model, rows, arguments.batch_size)
    )


if __name__ == "__main__":
    run_cli(main)
