"""The lines of a JSONL file, one at a time, whatever is wrong with them."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow_scripts.artifacts.data import FileFacts
from workflow_scripts.data.checksums import Checksummer
from workflow_scripts.errors import EssenceError

LONGEST_LINE = 64 * 2**20
EXCERPT = 200


class RowError(EssenceError):
    """A line that can't become a row: `kind` for counting, the message for the reader."""

    def __init__(self, kind: str, message: str):
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
        self.kind = kind


class Lines:
    """Iterates over (line number from 1, bytes) of the lines that aren't blank.

    Holds one line at a time; a line longer than `LONGEST_LINE` is cut one byte above that size.
    Afterwards `blank` is the number of blank lines, `bom` says whether a byte order mark was
    dropped at the start, and `facts` describes the whole file.

    Raises EssenceError when there is no such file, when it is empty, or when it is UTF-16.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.blank = 0
        self.bom = False
        self.facts: FileFacts | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        if not self.path.is_file():
            raise EssenceError(f"{self.path}: no such file; correct data.path.")
        checksums = Checksummer(self.path)
        if checksums.size == 0:
            raise EssenceError(
                f"{self.path}: the file is empty; give a JSONL file, one row a line, as data.path."
            )
        with open(self.path, "rb") as file:
            for number, line in enumerate(self._raw_lines(file, checksums), 1):
                if number == 1:
                    line = self._without_bom(line)
                if line.strip():
                    yield number, line
                else:
                    self.blank += 1
        self.facts = checksums.result()

    @staticmethod
    def _raw_lines(file: Any, checksums: Checksummer) -> Iterator[bytes]:
        while line := file.readline(LONGEST_LINE + 1):
            checksums.update(line)
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(1 << 20)):
                checksums.update(rest)
            yield line

    def _without_bom(self, line: bytes) -> bytes:
        if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise EssenceError(
                f"{self.path}: the file is UTF-16; convert it first: "
                "iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"
            )
        if line.startswith(codecs.BOM_UTF8):
            self.bom = True
            return line[len(codecs.BOM_UTF8) :]
        return line


def record_in(line: bytes) -> dict[str, Any]:
    """The JSON object on one line. Raises RowError with the place and kind of the damage."""
    if len(line) > LONGEST_LINE:
        raise RowError("line too long", f"the line is longer than {LONGEST_LINE // 2**20} MiB")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = line[error.start]
        raise RowError("not UTF-8", f"byte {error.start + 1} (0x{bad:02x}) is not UTF-8") from error
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at character {error.pos + 1}"
        raise RowError("broken JSON", message) from error
    except (ValueError, RecursionError) as error:
        raise RowError("broken JSON", f"not JSON that can be read: {error}") from error
    if not isinstance(record, dict):
        found = type(record).__name__
        raise RowError("not an object", f"one JSON object a line is expected, found a {found}")
    return record


def excerpt(line: bytes) -> str:
    """The start of a line as readable text, for the quarantine file."""
    return line[: 4 * EXCERPT].decode("utf-8", errors="replace").strip()[:EXCERPT]
