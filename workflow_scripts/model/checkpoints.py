"""Checkpoints, one at the end of each epoch, that a training can be resumed from."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.records import Record

NOTES = "essence.json"  # Notes, written last: a checkpoint without it is not whole
LOG = "training_log.jsonl"
ALMOST_NOTHING = 2**20  # bytes; a failed write that leaves less than this had no room


class Notes(Record):
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
        whole = all_whole(folder)
        return cls(whole[-1], Notes.read(whole[-1] / NOTES)) if whole else cls(None, Notes())


def seal(checkpoint: Path, notes: Notes) -> None:
    """Sync every file of a checkpoint, and only then write what makes it count."""
    for path in checkpoint.iterdir():
        sync(path)
    notes.write(checkpoint / NOTES)
    sync(checkpoint)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def all_whole(folder: Path) -> list[Path]:
    """The whole checkpoints in a folder by step; a resumed training writes the others again."""
    return sorted((path.parent for path in folder.glob(f"checkpoint-*/{NOTES}")), key=step_of)


def keep(folder: Path, best_step: int | None) -> None:
    """Delete all checkpoints but the newest and the best, which may be published."""
    for path in all_whole(folder)[:-1]:
        if step_of(path) != best_step:
            (path / NOTES).unlink()
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
