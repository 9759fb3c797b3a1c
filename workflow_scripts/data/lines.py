"""The records of a file that a person gives, JSON lines or a JSON array, whatever is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import DuplicateKey, NotJson, check_text_file, parse_json, read_text

BOM = b"\xef\xbb\xbf"
LONGEST_LINE = 64 * 2**20
EXCERPT = 200


class RowError(EssenceError):
    """A line that can't become a row: `kind` for counting, the message for the reader."""

    def __init__(self, kind: str, message: str):
        super().__init__(message.encode("utf-8", "backslashreplace").decode())
        self.kind = kind


class Lines:
    """Iterates over (number from 1, bytes) of the lines that aren't blank, or of array entries.

    Holds one line at a time; a line longer than `LONGEST_LINE` is cut one byte above that size. An
    array is held whole. `word` says what is numbered, `bom` whether a byte order mark at the start
    was dropped, and afterwards `blank` is the number of blank lines.

    Raises EssenceError when there is no such file, when it is empty or not text, and when an array
    is not JSON.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        check_text_file(path)
        with open(path, "rb") as file:
            start = file.read(1 << 16)
        if not start:
            raise EssenceError(f"{path}: the file is empty; give one JSON object a line")
        self.bom = start.startswith(BOM)
        self.word = "entry" if start.removeprefix(BOM).lstrip()[:1] == b"[" else "line"
        self.blank = 0

    def place(self, number: int) -> str:
        return f"{self.word} {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        if self.word == "entry":
            yield from enumerate(self._entries(), 1)
            return
        with open(self.path, "rb") as file:
            file.seek(len(BOM) * self.bom)
            for number, line in enumerate(_capped_lines(file), 1):
                if line.strip():
                    yield number, line
                else:
                    self.blank += 1

    def _entries(self) -> Iterator[bytes]:
        """The text of each entry; what is wrong inside one is left to `record_in`."""
        text = read_text(self.path, errors="surrogateescape")
        decoder = json.JSONDecoder(parse_int=str)  # here only the end of an entry matters
        at = _after_blanks(text, text.index("[") + 1)
        while not text.startswith("]", at):
            try:
                _, end = decoder.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError) as error:
                why, at = getattr(error, "msg", "nested too deep"), getattr(error, "pos", at)
                raise self._broken(text, at, why) from error
            yield text[at:end].encode("utf-8", "surrogateescape")
            at = _after_blanks(text, end)
            if text.startswith(",", at):
                at = _after_blanks(text, at + 1)
            elif not text.startswith("]", at):
                raise self._broken(text, at, "a comma or ] is missing after an entry")
        if text[at + 1 :].strip():
            raise self._broken(text, at, "more follows after the array's end")

    def _broken(self, text: str, at: int, why: str) -> EssenceError:
        line = text.count("\n", 0, at) + 1
        return EssenceError(f"{self.path}, line {line}: not a JSON array: {why}")


def _capped_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(1 << 20)):
            pass  # what is longer is not kept
        yield line


def _after_blanks(text: str, at: int) -> int:
    return json.decoder.WHITESPACE.match(text, at).end()


def record_in(line: bytes) -> dict[str, Any]:
    """The JSON object on one line. Raises RowError with the place and kind of the damage."""
    if len(line) > LONGEST_LINE:
        raise RowError("line too long", f"the line is longer than {LONGEST_LINE // 2**20} MiB")
    try:
        record = parse_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        bad = line[error.start]
        raise RowError("not UTF-8", f"byte {error.start + 1} (0x{bad:02x}) is not UTF-8") from error
    except DuplicateKey as error:
        raise RowError("duplicate key", str(error)) from error
    except NotJson as error:
        place = f" at character {error.character}" if error.character else ""
        raise RowError("broken JSON", f"{error}{place}") from error
    if not isinstance(record, dict):
        found = type(record).__name__
        raise RowError("not an object", f"not a JSON object: found a {found}")
    return record


def excerpt(line: bytes) -> str:
    """The start of a line as readable text, for the quarantine file."""
    return line[: 4 * EXCERPT].decode("utf-8", errors="replace").strip()[:EXCERPT]
