"""Checkpoints that a training can be resumed from: sealed when whole, put aside when broken."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.artifacts.base import Artifact
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, sha256, write_json
from workflow_scripts.model.progress import say

MANIFEST = "manifest.json"  # checksums, written last: a checkpoint without it is not whole
NOTES = "essence.json"  # Notes, in each checkpoint
LOG = "training_log.jsonl"
ALMOST_NOTHING = 2**20  # bytes; a failed write that leaves less than this had no room


class Notes(Artifact):
    """What a checkpoint knows of its training beyond the trainer's own state."""

    finished: bool = False
    seconds: float = 0.0  # in all starts
    starts: int = 0


@dataclass(frozen=True)
class Resume:
    """Where a training starts: at a checkpoint, or (None) at its first step."""

    checkpoint: Path | None
    notes: Notes  # of the starts before this one

    @classmethod
    def newest(cls, folder: Path) -> "Resume":
        checkpoint = last_good(folder)
        return cls(checkpoint, Notes.read(checkpoint / NOTES) if checkpoint else Notes())


def seal(checkpoint: Path) -> None:
    """Sync every file of a checkpoint and list their checksums; only then does it count."""
    files = sorted(path for path in checkpoint.iterdir() if path.name != MANIFEST)
    for path in files:
        sync(path)
    write_json(checkpoint / MANIFEST, {path.name: sha256(path) for path in files})
    sync(checkpoint)


def is_whole(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint has the checksum that it was sealed with."""
    try:
        manifest = read_json(checkpoint / MANIFEST)
        return bool(manifest) and all(
            sha256(checkpoint / name) == checksum for name, checksum in manifest.items()
        )
    except (EssenceError, OSError, UnicodeDecodeError):
        return False


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def all_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder by step, whole or not."""
    found = [path for path in folder.glob("checkpoint-*") if path.suffix != ".broken"]
    return sorted(found, key=step_of)


def last_good(folder: Path) -> Path | None:
    """The newest checkpoint that a training can be resumed from; unusable ones are put aside.

    A checkpoint is of use only together with the best one so far, which will be published if no
    later one is better.
    """
    whole = {step_of(path): path for path in all_checkpoints(folder) if is_whole(path)}
    for path in reversed(all_checkpoints(folder)):
        step = step_of(path)
        if step in whole:
            best = trainer_state(path)["best_global_step"]
            if not best or best in whole:
                return path
        aside = path.with_name(f"{path.name}.broken")
        shutil.rmtree(aside, ignore_errors=True)  # of an earlier start
        path.rename(aside)
        whole.pop(step, None)
        say(f"{path} is broken: put aside as {aside.name}")
    return None


def keep(folder: Path, best_step: int | None, last: int = 2) -> None:
    """Delete all checkpoints but the `last` newest and the best."""
    for path in all_checkpoints(folder)[:-last]:
        if step_of(path) != best_step:
            shutil.rmtree(path)


def trainer_state(checkpoint: Path) -> dict[str, Any]:
    """The Hugging Face trainer's own state."""
    return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def explaining_full_disk(path: Path) -> Iterator[None]:
    """Turn what libraries raise on a full disk into one EssenceError; other errors pass."""
    try:
        yield
    except Exception as error:
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
        free = shutil.disk_usage(there).free
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not (full or "No space left" in str(error) or free < ALMOST_NOTHING):
            raise
        raise EssenceError(
            f"{path}: no space left on the disk ({free // 2**20} MB free). Nothing was published "
            "and nothing older was lost; free space on it and run the same command again."
        ) from error
