"""A run trained and answered as the notebooks did it, beside how it is done here, as a ratio.

    python -m tools.procedure --run results/runs/repaired/exp3_bs4_lr1e-4/seed42 \\
        --rows results/data/test.parquet

The notebooks' procedure: the library's attention in float32, sources and labels padded to their
full lengths, one row answered at a time by the library's loop. Both ways take a few steps on the
same rows with the same model and answer the same rows; the whole run is computed from the steps
that it made. Times are processor time, so `--threads` and other work change them little.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.runs import Training
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import read_rows


def seconds(
    work: Callable[[], Any], times: int, clock: Callable[[], float] = time.process_time
) -> float:
    """The least time of one call, the first one left out."""
    work()
    took = []
    for _ in range(times):
        started = clock()
        work()
        took.append(clock() - started)
    return min(took)


def mean_loss(model: Any, batch: dict[str, Any], bf16: bool, pad: int | None = None) -> Any:
    """Over all tokens that count: with `pad`, computed as a training here does, else as theirs."""
    import torch

    from workflow_scripts.model.batches import IGNORED
    from workflow_scripts.model.trainer import token_losses

    autocast = partial(torch.autocast, model.device.type, torch.bfloat16, enabled=bf16)
    with autocast():
        if pad is None:
            inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
            return model(**inputs, use_cache=False).loss
        losses = token_losses(model, batch, pad, autocast)
        return losses.sum() / (batch["labels"] != IGNORED).sum()


def stepper(
    model: Any, batches: list[dict[str, Any]], bf16: bool, pad: int | None = None
) -> Callable[[], None]:
    """An optimizer step on each of the batches; with `pad`, as a training here takes it."""
    import torch
    from torch.nn.utils import clip_grad_norm_

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def steps() -> None:
        for batch in batches:
            mean_loss(model, batch, bf16, pad).backward()
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return steps


def answer_one_by_one(model: Any, sources: list[list[int]], new_tokens: int) -> None:
    """As the notebooks did: the library's loop, a row at a time."""
    import torch

    for ids in sources:
        row = torch.tensor([ids], device=model.device)
        model.generate(input_ids=row, max_new_tokens=new_tokens, num_beams=1)


def padded(batch: dict[str, Any], source: int, target: int, pad: int, label: int) -> dict[str, Any]:
    """A batch filled up to the full lengths."""
    from torch.nn.functional import pad as fill

    return {
        "input_ids": fill(batch["input_ids"], (0, source - batch["input_ids"].shape[1]), value=pad),
        "attention_mask": fill(
            batch["attention_mask"], (0, source - batch["attention_mask"].shape[1])
        ),
        "labels": fill(batch["labels"], (0, target - batch["labels"].shape[1]), value=label),
    }


def procedure(
    run: Annotated[Path, Option("folder of a finished run")],
    rows: Annotated[Path, Option("Parquet of rows to train on and to answer")],
    base: Annotated[Path, Option("the model to train")] = Path("resources/models/standin"),
    steps: Annotated[int, Option("steps to measure, on as many batches")] = 8,
    answers: Annotated[int, Option("rows to answer one at a time")] = 30,
    threads: Annotated[int, Option("CPU threads")] = 1,
) -> None:
    from workflow_scripts.model.batches import IGNORED, Collator, make_examples
    from workflow_scripts.model.decoding import generate
    from workflow_scripts.model.device import choose_device
    from workflow_scripts.model.load import initial_model, load_model
    from workflow_scripts.text.preprocessing import model_input

    made = Training.read(run / "training.json")
    recipe, batch_size = made.settings.recipe, made.settings.run.batch_size
    device = choose_device("cpu", "auto", threads)
    reads = model_input(run / "model", recipe)
    pad, lengths = reads.pad, (recipe.source_tokens, recipe.target_tokens)
    examples = make_examples(read_rows(rows), reads)
    random.Random(1).shuffle(examples)  # a batch holds rows of all tasks, as in training
    collate = Collator(pad, recipe.target_tokens if recipe.padding_in_loss else None)
    label = pad if recipe.padding_in_loss else IGNORED
    starts = range(0, len(examples) - batch_size + 1, batch_size)
    batches = [collate(examples[start : start + batch_size]) for start in starts][:steps]
    ours = initial_model(base, reads.tokenizer, 1).train()
    theirs = initial_model(base, reads.tokenizer, 1).train()
    theirs.set_attn_implementation("eager")
    full = [padded(batch, *lengths, pad, label) for batch in batches]
    bf16 = device.precision == "bf16"
    library_step = seconds(stepper(theirs, batches, bf16), 2) / len(batches)
    step = (
        seconds(stepper(theirs, full, False), 2) / len(batches),
        seconds(stepper(ours, batches, bf16, pad), 2) / len(batches),
    )
    model, few = load_model(run / "model").eval(), [row["input_ids"] for row in examples[:answers]]
    everything = [row["input_ids"] for row in examples]
    answer = (
        seconds(lambda: answer_one_by_one(model, few, recipe.generate_tokens), 1) / len(few),
        seconds(lambda: generate(model, everything, pad, recipe.generate_tokens, 32), 1)
        / len(everything),
    )
    asked = made.rows["train"]["all"] + made.rows["val"]["all"] + len(examples)
    whole = [made.steps_done * step[way] + asked * answer[way] for way in (0, 1)]
    print(f"{run}: {made.steps_done} steps, {asked} answers")
    print(f"{'':20} {'notebooks':>10} {'here':>9}   ratio")
    lines = {
        "a step": step,
        "its layers alone": (library_step, step[1]),
        "an answer": answer,
        "the run": whole,
    }
    for what, (before, now) in lines.items():
        print(f"{what:20} {before:8.3g} s {now:7.3g} s   {before / now:.1f}")


if __name__ == "__main__":
    run_stage(procedure)
