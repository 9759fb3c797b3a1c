"""Fine-tune a model on one sample: one run of one recipe with one seed.

Publishes model/, training_log.jsonl, training.json and provenance.json into `out`, together or not
at all. Checkpoints lie in `work` under a fingerprint of all that decides the result; a training
that was stopped at any point resumes from the last whole one when the same command is given again.
"""

import importlib.metadata
import json
import platform
import resource
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.digest import ROOT, code_digest
from workflow_scripts.files import digest_of, sha256, write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.locks import take
from workflow_scripts.model import say
from workflow_scripts.model.adapters import keep_adapters, model_to_train, trained_model
from workflow_scripts.model.batches import TrainingData
from workflow_scripts.model.device import choose_device
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.model.load import base_digest, check_base
from workflow_scripts.model.saving import published, save_model
from workflow_scripts.runs import Base, ModelSource, Provenance, Training
from workflow_scripts.settings import Settings
from workflow_scripts.stage import Input, Setting, run_stage

WAIT = 3600  # seconds that another training of the same run is waited for
LOCK = ROOT / "requirements.lock"
PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "numpy", "pyarrow")


def train(
    settings: Annotated[Settings, Setting("recipe, run and training: JSON, or a file with it")],
    base: Annotated[Path, Setting("folder of the model to start from")],
    train: Annotated[Path, Input("rows to train on")],
    val: Annotated[Path, Input("rows that the best epoch is chosen by")],
    out: Annotated[Path, Setting("folder of the run")],
    work: Annotated[Path, Setting("folder for checkpoints")],
    threads: Annotated[int, Setting("CPU threads of torch")] = 1,
) -> None:
    """Raises EssenceError for anything in the way that the user can remove."""
    check_base(base, settings.model.architecture)
    data = TrainingData.load(train, val, base, settings)
    device = choose_device(settings.device, settings.precision, threads)
    # All that decides the bytes of a training: equal sources, equal results.
    sources = {
        "settings": settings.model_dump(),
        "data": {"train": sha256(train), "val": sha256(val)},
        "base": base_digest(base),
        "code": code_digest("workflow_scripts.model.train"),
        "device": [device.kind, device.precision],
        "versions": package_versions(settings),
    }
    fingerprint = digest_of(sources)[:16]
    with take(work / "lock", str(work), WAIT):
        facts = out / "provenance.json"
        if facts.is_file() and Provenance.read(facts).fingerprint == fingerprint:
            say(f"{out} was published by another process")  # whose Snakemake was killed, perhaps
            return
        from workflow_scripts.model.trainer import fit, is_finished, whole_checkpoints

        started, folder = time.monotonic(), work / fingerprint
        say(f"rows: {len(data.train)} train, {len(data.val)} val; checkpoints: {folder}")
        if not any(is_finished(state) for _, state in whole_checkpoints(folder)):
            tokenizer = data.reads.tokenizer
            fit(settings, device, folder, lambda: model_to_train(base, tokenizer, settings, device),
                data)  # fmt: skip
        _, state = whole_checkpoints(folder)[-1]
        summary = summarise(settings, state, data)
        with published(out, last="provenance.json") as new:
            best = folder / f"checkpoint-{summary.best_step}"
            model, adapters = trained_model(base, best, data.reads)
            weights = save_model(model, data.reads.tokenizer, new / "model", adapters)
            if adapters:
                keep_adapters(best, new / "adapters")
            events = state["log_history"]  # with seconds, which differ each time
            lines = ({k: v for k, v in event.items() if k != "seconds"} for event in events)
            log = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
            write_text(new / "training_log.jsonl", log)
            summary.write(new / "training.json")
            seconds = {
                "train": round(sum(event.get("seconds", 0) for event in events), 3),
                "all": round(time.monotonic() - started, 3),
            }
            measured = {"fingerprint": fingerprint, "device": device, "seconds": seconds}
            measured |= {"model": weights, "rows_at_once": state["train_batch_size"]}
            _provenance(settings, base, sources, measured).write(new / "provenance.json")
        say(
            f"published {out}: best epoch {summary.best_epoch} of {summary.epochs_done}, "
            f"eval_loss {summary.best_eval_loss:.4f}"
        )
        shutil.rmtree(folder)


def _provenance(
    settings: Settings, base: Path, sources: dict[str, Any], measured: dict[str, Any]
) -> Provenance:
    source = base / SOURCE
    return Provenance(
        recipe=settings.recipe.name,
        run=settings.run.name,
        seed=settings.seed,
        settings=settings,
        data=sources["data"],
        base=Base(
            folder=str(base),
            digest=sources["base"],
            source=ModelSource.read(source) if source.is_file() else None,
        ),
        code=sources["code"],
        lock=sha256(LOCK) if LOCK.is_file() else None,
        versions={"python": platform.python_version(), **sources["versions"]},
        git=_git_state(),
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **measured,
    )


def package_versions(settings: Settings) -> dict[str, str]:
    """List the versions of the packages that these settings use."""
    used = (*PACKAGES, "peft") if settings.model.lora else PACKAGES
    return {name: importlib.metadata.version(name) for name in used}


def summarise(settings: Settings, state: dict[str, Any], data: TrainingData) -> Training:
    """training.json, of the trainer's last state."""
    epochs = [
        {key: value for key, value in event.items() if key not in ("event", "seconds")}
        | {"epoch": round(event["epoch"])}
        for event in state["log_history"]
        if event["event"] == "epoch"
    ]
    best = next(epoch for epoch in epochs if epoch["step"] == state["best_global_step"])
    rows = {}
    for split, examples in {"train": data.train, "val": data.val}.items():
        tasks = Counter(TASKS[example["task"]] for example in examples)
        rows[split] = {"all": len(examples), **{task: tasks[task] for task in TASKS}}
    return Training(
        recipe=settings.recipe.name,
        run=settings.run.name,
        seed=settings.seed,
        settings=settings,
        epochs=epochs,
        best_epoch=best["epoch"],
        best_step=best["step"],
        best_eval_loss=best["eval_loss"],
        best_loss_per_token=best["loss_per_token"],
        stopped_early=state["global_step"] < state["max_steps"],
        epochs_done=len(epochs),
        steps_done=state["global_step"],
        steps_planned=state["max_steps"],
        rows=rows,
    )


def _git_state() -> dict[str, Any]:
    """The commit, and whether it was edited; both None where there is no git or no repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    commit, _, dirty = done.stdout.decode().strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)}


if __name__ == "__main__":
    run_stage(train)
