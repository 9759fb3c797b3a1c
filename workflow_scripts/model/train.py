"""Fine-tune a model on one sample: one run of one recipe with one seed.

Reads train.parquet and val.parquet and a model folder; publishes model/, training_log.jsonl,
training.json and provenance.json into --out, together or not at all. Checkpoints lie in --work
under a fingerprint of all that decides the result; a training that was stopped at any point
goes on from the last whole one when the same command is given again.
"""

import argparse
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import digest_of, read_json, sha256, write_json
from workflow_scripts.locks import take
from workflow_scripts.model import checkpoints, provenance
from workflow_scripts.model.batches import Collator, count_tasks, examples, read_rows
from workflow_scripts.model.device import Device, choose_device
from workflow_scripts.model.load import base_digest, check_base, load_model, make_room
from workflow_scripts.model.publish import published, save_model
from workflow_scripts.model.settings import Settings
from workflow_scripts.model.training_log import Event, read_log, summarise


def train(arguments: argparse.Namespace) -> None:
    """Raises EssenceError for anything in the way that the user can remove."""
    clock = Clock()
    settings = Settings.parse(arguments.settings)
    check_base(arguments.base)
    rows = {"train": read_rows(arguments.train), "val": read_rows(arguments.val)}
    device = choose_device(settings.device, settings.precision, arguments.threads)
    facts = {
        "settings": settings.whole,
        "data": {"train": sha256(arguments.train), "val": sha256(arguments.val)},
        "base": base_digest(arguments.base),
        "code": arguments.code_digest,
        "device": [device.kind, device.precision],
        "versions": provenance.versions(),
    }
    work = arguments.work / digest_of(facts)[:16]
    with take(arguments.work / "lock", str(arguments.work), arguments.wait):
        if is_published(arguments.out, work.name):
            print(f"{arguments.out} was just published by another process", file=sys.stderr)
            return
        work.mkdir(exist_ok=True)
        meter = provenance.EnergyMeter(device.kind)
        outcome = fine_tune(settings, device, arguments.base, rows, work, clock)
        facts |= {
            "recipe": settings.recipe.name,
            "run": settings.run["name"],
            "seed": settings.seed,
            "fingerprint": work.name,
            "base": {"folder": str(arguments.base), "digest": facts["base"]},
            "lock": arguments.lock_digest or provenance.lock_digest(),
            "device": device.facts(),
            "energy_joules": meter.joules(),
        }
        publish(arguments.out, settings, outcome, facts, clock)
        checkpoints.remove(work)


def is_published(out: Path, fingerprint: str) -> bool:
    """Whether this very training is in place already, whole.

    So it is when Snakemake was killed and its training was not: the next Snakemake starts a
    second one, which waits for the first and then finds its results.
    """
    names = ("training_log.jsonl", "training.json", "provenance.json")
    if not all((out / name).is_file() for name in names):
        return False
    facts = read_json(out / "provenance.json")
    weights = out / "model" / "model.safetensors"
    return (
        facts.get("fingerprint") == fingerprint
        and weights.is_file()
        and sha256(weights) == facts["model"]["sha256"]
    )


class Clock:
    """Seconds by part; `part` ends the one that is running."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.since = time.monotonic()

    def part(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self.since, 3)
        self.since = now


def fine_tune(
    settings: Settings,
    device: Device,
    base: Path,
    rows: dict[str, list[dict[str, Any]]],
    work: Path,
    clock: Clock,
) -> dict[str, Any]:
    """Train to the end and return {"model", "tokenizer", "log", "state", "batch", "starts"}.

    When the GPU's memory does not suffice, half as many rows are computed at a time, and twice as
    many times before each step: the batch that is learned from stays the same.
    """
    import torch

    from workflow_scripts.text.tokenizers import load_tokenizer

    targets = [row["target"] for part in rows.values() for row in part]
    tokenizer = load_tokenizer(base, settings.recipe.tokenizer, targets)
    data = {name: examples(part, settings.recipe, tokenizer) for name, part in rows.items()}
    counts = ", ".join(f"{len(part)} {name}" for name, part in data.items())
    print(f"rows: {counts}; checkpoints: {work}", file=sys.stderr, flush=True)
    memory = work / "micro_batch.json"  # what fitted before a stop is where to go on
    batch = settings.run["batch_size"]
    micro = read_json(memory) if memory.is_file() else batch
    while True:
        try:
            return _run(settings, device, base, tokenizer, data, work, micro, clock)
        except torch.OutOfMemoryError:
            smaller = [size for size in range(1, micro // 2 + 1) if batch % size == 0]
        if not smaller:
            raise EssenceError(
                f"{device.name} has too little memory for a single row. Lower the recipe's "
                "source_tokens or target_tokens, or set model.device to cpu."
            )
        micro = smaller[-1]
        write_json(memory, micro)
        note = f"out of GPU memory: going on with {micro} rows at a time, {batch} in a batch"
        device.notes.append(note)
        print(note, file=sys.stderr, flush=True)
        gc.collect()
        torch.cuda.empty_cache()


def _run(
    settings: Settings,
    device: Device,
    base: Path,
    tokenizer: Any,
    data: dict[str, list[dict[str, Any]]],
    work: Path,
    micro: int,
    clock: Clock,
) -> dict[str, Any]:
    from workflow_scripts.model.trainer import LOG, NOTES, Recorder, make_trainer
    from workflow_scripts.text.tokenizers import new_rows

    last = checkpoints.last_good(work)
    notes = read_json(last / NOTES) if last else {"finished": False, "seconds": 0.0, "starts": 0}
    recipe = settings.recipe
    model = load_model(base)
    make_room(model, tokenizer, new_rows(base, tokenizer), settings.seed)
    if device.kind == "cpu":  # a third faster there: torch's fused attention has no learned bias
        model.set_attn_implementation("eager")
    collator = Collator(
        tokenizer.pad_token_id, recipe.target_tokens if recipe.padding_in_loss else None
    )
    trainer = make_trainer(
        settings, device, model, collator, data["train"], data["val"], work, micro
    )
    trainer.seconds_before, trainer.starts = notes["seconds"], notes["starts"] + 1
    trainer.log_file.start(last / LOG if last else None)
    clock.part("load")
    if not notes["finished"]:
        if last:
            print(f"going on from {last}", file=sys.stderr, flush=True)
        recorder = next(c for c in trainer.callback_handler.callbacks if isinstance(c, Recorder))
        with checkpoints.telling_full_disk(work), recorder.saving_on_signals():
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        last = checkpoints.all_checkpoints(work)[-1]
    clock.part("train")
    clock.seconds["train_in_all_starts"] = round(read_json(last / NOTES)["seconds"], 3)
    state = checkpoints.trainer_state(last)
    best = work / f"checkpoint-{state['best_global_step']}"
    return {
        "model": load_model(best),
        "tokenizer": tokenizer,
        "log": list(read_log(last / LOG)),
        "rows": {name: count_tasks(part) for name, part in data.items()},
        "state": state,
        "batch": {
            "effective": settings.run["batch_size"],
            "micro": micro,
            "accumulation": settings.run["batch_size"] // micro,
        },
        "starts": trainer.starts,
    }


def publish(
    out: Path, settings: Settings, outcome: dict[str, Any], facts: dict[str, Any], clock: Clock
) -> None:
    """Write the run's four outputs; see `published` for what happens on a full disk."""
    model, state = outcome["model"], outcome["state"]
    summary = summary_of(settings, outcome["log"], state) | {"rows": outcome["rows"]}
    keys = ("best_epoch", "best_step", "best_eval_loss", "epochs_done", "steps_done")
    end = {"event": "end", **{key: summary[key] for key in (*keys, "stopped_early")}}
    with published(out) as stage:
        save_model(model, outcome["tokenizer"], stage / "model")
        lines = [json.dumps(event, allow_nan=False) + "\n" for event in [*outcome["log"], end]]
        (stage / "training_log.jsonl").write_text("".join(lines), encoding="utf-8")
        write_json(stage / "training.json", summary)
        weights = stage / "model" / "model.safetensors"
        clock.part("publish")
        facts |= {
            **provenance.surroundings(),
            "batch": outcome["batch"],
            "starts": outcome["starts"],
            "seconds": clock.seconds,
            "peak_memory_mib": provenance.peak_memory_mib(),
            "model": {
                "sha256": sha256(weights),
                "bytes": weights.stat().st_size,
                "parameters": model.num_parameters(),
            },
        }
        write_json(stage / "provenance.json", facts)
    print(
        f"published {out}: best epoch {summary['best_epoch']} of {summary['epochs_done']}, "
        f"eval_loss {summary['best_eval_loss']:.4f}",
        file=sys.stderr,
        flush=True,
    )


def summary_of(settings: Settings, log: list[Event], state: dict[str, Any]) -> dict[str, Any]:
    """training.json: the epochs of a run and which of them was best by training.best_metric."""
    epochs = summarise(log)
    best = next(epoch for epoch in epochs if epoch["step"] == state["best_global_step"])
    return {
        "recipe": settings.recipe.name,
        "run": settings.run["name"],
        "seed": settings.seed,
        "settings": settings.whole,
        "epochs": epochs,
        "best_epoch": best["epoch"],
        "best_step": best["step"],
        "best_eval_loss": best["eval_loss"],
        "best_loss_per_token": best["loss_per_token"],
        "stopped_early": state["global_step"] < state["max_steps"],
        "epochs_done": len(epochs),
        "steps_done": state["global_step"],
        "steps_planned": state["max_steps"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", required=True, help="settings as JSON, or a file with them")
    parser.add_argument(
        "--base", required=True, type=Path, help="folder of the model to start from"
    )
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--val", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="folder of the run")
    parser.add_argument("--work", required=True, type=Path, help="folder for checkpoints")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument(
        "--wait", type=float, default=0.0, help="seconds to wait for another one in --work"
    )
    parser.add_argument("--code-digest", default="")
    parser.add_argument("--lock-digest", default="")
    train(parser.parse_args())


if __name__ == "__main__":
    run_cli(main)
