"""Publishing a run: all of its files at once, verified, or none of them."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256
from workflow_scripts.model.checkpoints import explaining_full_disk, sync
from workflow_scripts.runs import Provenance, Weights

STAGE = ".publishing"
OLD = ".replaced"
ONE_FILE = "1TB"  # model.safetensors, however large


@contextlib.contextmanager
def published(out: Path) -> Iterator[Path]:
    """Yield a folder to write into; afterwards its files and folders appear in `out`.

    Everything is on the disk before the first of them is renamed into place. Raises EssenceError
    when the disk is full; then `out` is as it was.
    """
    stage = out / STAGE
    for leftover in (stage, out / OLD):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with explaining_full_disk(out):
            stage.mkdir(parents=True)
            yield stage
            for path in sorted(stage.rglob("*"), reverse=True):
                path.chmod(0o755 if path.is_dir() else 0o644)
                sync(path)
        for path in sorted(stage.iterdir()):
            _move(path, out / path.name, out / OLD)
        sync(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(out / OLD, ignore_errors=True)


def save_model(model: Any, tokenizer: Any, folder: Path, trained: int | None = None) -> Weights:
    """Save weights, config and tokenizer, read the weights back and compare.

    `trained`: how many parameters were trained, where not all were.
    Raises EssenceError when the disk holds other weights than the model has.
    """
    from safetensors.torch import load_file

    model.save_pretrained(folder, max_shard_size=ONE_FILE)
    tokenizer.save_pretrained(folder, save_jinja_files=False)  # templates go into its config
    weights = folder / "model.safetensors"
    saved, kept = load_file(weights), model.state_dict()
    if not all(kept[name].cpu().equal(tensor) for name, tensor in saved.items()):
        raise EssenceError(
            f"{folder}: the disk gave back other weights than were written to it. Nothing was "
            "published; check the disk and run the same command again."
        )
    return Weights(
        sha256=sha256(weights),
        bytes=weights.stat().st_size,
        parameters=model.num_parameters(),
        trained=trained,
    )


def is_published(out: Path, fingerprint: str) -> bool:
    """Whether this very training is in place already, whole.

    So it is when Snakemake was killed and its training was not: the next Snakemake starts a
    second one, which waits for the first and then finds its results.
    """
    try:
        facts = Provenance.read(out / "provenance.json")
        return (
            facts.fingerprint == fingerprint
            and facts.model.sha256 == sha256(out / "model" / "model.safetensors")
            and (out / "training.json").is_file()
            and (out / "training_log.jsonl").is_file()
        )
    except (EssenceError, OSError):
        return False


def _move(source: Path, target: Path, old: Path) -> None:
    """Rename into place; a folder that is there already is first moved out of the way."""
    if target.is_dir() and any(target.iterdir()):
        old.mkdir(exist_ok=True)
        os.replace(target, old / target.name)
    os.replace(source, target)
