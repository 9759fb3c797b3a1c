"""Folders that appear whole or not at all, and models in them."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256
from workflow_scripts.runs import Weights

NEW = ".new"
ONE_FILE = "1TB"  # model.safetensors, however large
ALMOST_NOTHING = 2**20  # bytes; a failed write that leaves less than this had no room


@contextlib.contextmanager
def published(out: Path, last: str = "") -> Iterator[Path]:
    """Yield a folder to write into; afterwards its files and folders replace those in `out`.

    The file `last` comes last: where it is, all are. Raises EssenceError when the disk is full;
    then `out` is as it was.
    """
    new = out / NEW
    shutil.rmtree(new, ignore_errors=True)
    try:
        with explain_full_disk(out):
            new.mkdir(parents=True)
            yield new
        os.sync()
        for path in sorted(new.iterdir(), key=lambda path: path.name == last):
            if path.is_dir():
                shutil.rmtree(out / path.name, ignore_errors=True)
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn what libraries raise on a full disk into one EssenceError; other errors pass."""
    try:
        yield
    except Exception as error:
        existing = next(each for each in (path, *path.absolute().parents) if each.exists())
        free = shutil.disk_usage(existing).free
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if not (full or "No space left" in str(error) or free < ALMOST_NOTHING):
            raise
        raise EssenceError(
            f"{path}: no space left on the disk ({free // 2**20} MB free). Nothing was published "
            "and nothing older was lost; free space on it and run the same command again."
        ) from error


def save_model(model: Any, tokenizer: Any, folder: Path, trained: int | None = None) -> Weights:
    """Save weights, config and tokenizer; `trained`: how many parameters were, where not all."""
    model.save_pretrained(folder, max_shard_size=ONE_FILE)
    tokenizer.save_pretrained(folder, save_jinja_files=False)  # templates go into its config
    weights = folder / "model.safetensors"
    return Weights(
        sha256=sha256(weights),
        bytes=weights.stat().st_size,
        parameters=model.num_parameters(),
        trained=trained,
    )
