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
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import digest_of, sha256, write_text
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.locks import take
from workflow_scripts.model import say
from workflow_scripts.model.adapters import check_extras, model_to_train, trained_model
from workflow_scripts.model.batches import Example, TrainingData
from workflow_scripts.model.device import choose_device
from workflow_scripts.model.fetch import SOURCE
from workflow_scripts.model.load import base_digest, check_base
from workflow_scripts.model.saving import published, save_model
from workflow_scripts.runs import Base, DeviceFacts, ModelSource, Provenance, Training
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
    check_extras(settings.model, device)
    # All that decides the bytes of a training: equal sources, equal results.
    sources: dict[str, Any] = {
        "settings": settings.model_dump(),
        "data": {"train": sha256(train), "val": sha256(val)},
        "base": base_digest(base),
        "code": code_digest("workflow_scripts.model.train"),
        "device": [device.kind, device.precision],
        "versions": package_versions(settings),
    }
    fingerprint = _fingerprint(sources)
    with take(work / "lock", str(work), WAIT):
        if _is_published(out, fingerprint):
            say(f"{out} was just published by another process")
            return
        from workflow_scripts.model.trainer import fit, is_finished, whole_checkpoints

        started, folder = time.monotonic(), work / fingerprint
        say(f"rows: {len(data.train)} train, {len(data.val)} val; checkpoints: {folder}")
        if not any(is_finished(state) for _, state in whole_checkpoints(folder)):
            tokenizer = data.reads.tokenizer
            fit(settings, device, folder, lambda: model_to_train(base, tokenizer, settings, device),
                data)  # fmt: skip
        _publish(out, settings, data, base, folder, sources, device, started)
        shutil.rmtree(folder)


def _publish(
    out: Path,
    settings: Settings,
    data: TrainingData,
    base: Path,
    folder: Path,
    sources: dict[str, Any],
    device: DeviceFacts,
    started: float,
) -> None:
    """Write what the checkpoints in `folder` hold of a finished training to `out`."""
    from workflow_scripts.model.trainer import whole_checkpoints

    _, state = whole_checkpoints(folder)[-1]
    rows = {"train": _count(data.train), "val": _count(data.val)}
    summary = summarise(settings, state, rows)
    with published(out) as new:
        best = folder / f"checkpoint-{summary.best_step}"
        model, adapters = trained_model(base, best, data.reads)
        weights = save_model(model, data.reads.tokenizer, new / "model", adapters)
        write_text(new / "training_log.jsonl", _log_lines(state))
        summary.write(new / "training.json")
        trained = sum(event.get("seconds", 0) for event in state["log_history"])
        seconds = {"train": trained, "all": time.monotonic() - started}
        Provenance(
            **{"recipe": summary.recipe, "run": summary.run, "seed": summary.seed},
            settings=settings,
            fingerprint=_fingerprint(sources),
            data=sources["data"],
            base=_base(base, sources["base"]),
            code=sources["code"],
            lock=sha256(LOCK) if LOCK.is_file() else None,
            device=device,
            versions={"python": platform.python_version(), **sources["versions"]},
            git=_git_state(),
            rows_at_once=state["train_batch_size"],
            seconds={part: round(taken, 3) for part, taken in seconds.items()},
            peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            model=weights,
        ).write(new / "provenance.json")
    say(
        f"published {out}: best epoch {summary.best_epoch} of {summary.epochs_done}, "
        f"eval_loss {summary.best_eval_loss:.4f}"
    )


def _fingerprint(sources: dict[str, Any]) -> str:
    return digest_of(sources)[:16]


def package_versions(settings: Settings) -> dict[str, str]:
    """List the versions of the packages that these settings use."""
    model = settings.model
    extras = {"peft": model.lora, "bitsandbytes": model.load_4bit, "liger-kernel": model.liger}
    used = [*PACKAGES, *(name for name, wanted in extras.items() if wanted)]
    return {name: importlib.metadata.version(name) for name in used}


def _is_published(out: Path, fingerprint: str) -> bool:
    """Whether this very training is in place already.

    So it is when Snakemake was killed and its training was not: the next Snakemake starts a
    second one, which waits for the first and then finds its results.
    """
    try:
        facts = Provenance.read(out / "provenance.json")
        weights = sha256(out / "model" / "model.safetensors")
        complete = all((out / name).is_file() for name in ("training.json", "training_log.jsonl"))
    except (EssenceError, OSError):
        return False
    return complete and facts.fingerprint == fingerprint and facts.model.sha256 == weights


def _count(examples: list[Example]) -> dict[str, int]:
    tasks = Counter(TASKS[example["task"]] for example in examples)
    return {"all": len(examples), **{task: tasks[task] for task in TASKS}}


def summarise(
    settings: Settings, state: dict[str, Any], rows: dict[str, dict[str, int]]
) -> Training:
    """training.json, of the trainer's last state; `rows` counts them by split and task."""
    epochs = [
        {key: value for key, value in event.items() if key not in ("event", "seconds")}
        | {"epoch": round(event["epoch"])}
        for event in state["log_history"]
        if event["event"] == "epoch"
    ]
    best = next(epoch for epoch in epochs if epoch["step"] == state["best_global_step"])
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


def _log_lines(state: dict[str, Any]) -> str:
    """training_log.jsonl: a line for each step and epoch, without times."""
    lines = ({k: v for k, v in event.items() if k != "seconds"} for event in state["log_history"])
    return "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)


def _base(folder: Path, digest: str) -> Base:
    source = folder / SOURCE
    return Base(
        folder=str(folder),
        digest=digest,
        source=ModelSource.read(source) if source.is_file() else None,
    )


def _git_state() -> dict[str, Any]:
    """Both None where there is no git or no repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
    ).stdout


if __name__ == "__main__":
    run_stage(train)
