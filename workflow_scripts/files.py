"""Reading and writing the pipeline's files: whole or not at all, and the same bytes every time."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError

# JSON text may hold half a character (\ud800), UTF-8 may not: it is written as JSON escapes it.
HALF_CHARACTERS = "backslashreplace"
NOT_TEXT = {  # how a file begins -> what it is, and what makes text of it
    b"\xff\xfe": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\x1f\x8b": ("compressed by gzip", "gunzip -c"),
    b"BZh": ("compressed by bzip2", "bunzip2 -c"),
    b"\xfd7zXZ\0": ("compressed by xz", "xz -dc"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "zstd -dc"),
    b"PK\3\4": ("a zip archive", "unzip -p"),
}


class NotJson(EssenceError):
    """Text that is not JSON; `line` and `character` count from 1, 0 where the place is unknown."""

    line = character = 0


def own_file(name: str) -> Path:
    """A file of the project: in a clone beside the package, where it is installed inside it."""
    package = Path(__file__).resolve().parent
    beside = package.parent / name
    return beside if beside.exists() else package / name


@contextlib.contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it into place.

    Raises EssenceError for a full disk, a folder or a device; what lay at `path` is then untouched.
    """
    check_output(path)
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


def check_output(path: Path | str, *inputs: Path | str | None) -> None:
    """Raises EssenceError where writing `path` would replace an input or what is not a file."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise EssenceError(f"{path}: not a file but a folder or a device; name another file")
    for each in inputs:
        if each and path.resolve() == Path(each).resolve():
            raise EssenceError(f"{path}: this is an input, which would be lost; name another file")


def to_json(value: Any) -> str:
    """Write canonical JSON: sorted keys, one-space indent, a newline at the end."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", HALF_CHARACTERS).decode() + "\n"


def write_text(path: Path | str, text: str) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=HALF_CHARACTERS)


def write_json(path: Path | str, value: Any) -> None:
    write_text(path, to_json(value))


def check_text_file(path: Path | str) -> None:
    """Raises EssenceError, with the cure, for what is no file, or no text in UTF-8."""
    path = Path(path)
    if path.is_dir():
        raise EssenceError(f"{path}: a folder; name a file in it")
    if not path.exists():
        raise EssenceError(f"{path}: no such file")
    if not path.is_file():
        raise EssenceError(f"{path}: a device or a pipe; save what it gives to a file first")
    with open(path, "rb") as file:
        head = file.read(6)
    for start, (form, command) in NOT_TEXT.items():
        if head.startswith(start):
            cure = f"convert it first: {command} FILE > NEW_FILE"
            raise EssenceError(f"{path}: the file is {form}; {cure}")


def read_text(path: Path | str, errors: str = "strict") -> str:
    """The text of a file in UTF-8, without a byte order mark."""
    check_text_file(path)
    try:
        return Path(path).read_text(encoding="utf-8-sig", errors=errors)
    except UnicodeDecodeError as error:
        raise EssenceError(f"{path}: byte {error.start + 1} is not UTF-8 text") from error


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises NotJson with the place, also for a key that comes twice."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        broken = NotJson(f"not JSON: {error.msg}")
        broken.line, broken.character = error.lineno, error.pos + 1
        raise broken from error
    except RecursionError as error:
        raise NotJson("not JSON that can be read: nested too deep") from error
    except ValueError as error:
        digits = sys.get_int_max_str_digits()
        raise NotJson(f"not JSON that can be read: over {digits} digits in a number") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise NotJson(f"the key {repeated!r:.60} comes more than once")
    return value


def read_json(path: Path | str) -> Any:
    """Raises EssenceError naming the file and line when it is missing or not JSON."""
    try:
        return parse_json(read_text(path))
    except NotJson as error:
        line = f", line {error.line}" if error.line else ""
        raise EssenceError(f"{path}{line}: {error}") from error


def write_jsonl(path: Path | str, rows: Iterable[dict[str, Any]]) -> None:
    with (
        written_whole(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors=HALF_CHARACTERS) as file,
    ):
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_jsonl(path: Path | str) -> Iterator[Any]:
    """The value of every line that isn't blank. Raises EssenceError naming the file and line."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        try:
            if line.strip():
                yield parse_json(line)
        except NotJson as error:
            raise EssenceError(f"{path}, line {number}: {error}") from error


def sha256(path: Path | str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """sha256 of a JSON value in its canonical form."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()
