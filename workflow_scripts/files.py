"""Reading and writing the pipeline's files: whole or not at all, and the same bytes every time."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError


@contextlib.contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it into place.

    Raises EssenceError when the disk is full; the temporary file is removed and whatever
    lay at `path` before is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(path.parent).free // 2**20
            raise EssenceError(
                f"{path}: no space left on the disk ({free} MB free). "
                "Nothing was published; free some space and run the same command again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def to_json(value: Any) -> str:
    """Canonical JSON: sorted keys, one-space indent, UTF-8, a newline at the end."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path | str, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    write_text(path, to_json(value))


def read_json(path: Path | str) -> Any:
    """Raises EssenceError naming the file and line when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except json.JSONDecodeError as error:
        raise EssenceError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from error


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    with written_whole(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_jsonl(path: Path | str) -> Iterator[Any]:
    """The values of a file of JSON lines; see `numbered_jsonl`."""
    return (value for _, value in numbered_jsonl(path))


def numbered_jsonl(path: Path | str) -> Iterator[tuple[int, Any]]:
    """(line number from 1, value) of every line that isn't blank.

    Raises EssenceError naming the file, and the first line that is not JSON.
    """
    number = 0
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, json.loads(line)
    except FileNotFoundError as error:
        raise EssenceError(f"{path}: no such file") from error
    except json.JSONDecodeError as error:
        raise EssenceError(f"{path}, line {number}: not JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise EssenceError(f"{path}: not UTF-8 text ({error.reason})") from error


def sha256(path: Path | str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """sha256 of a JSON value in its canonical form."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()
