"""The records of a file that a person gives, JSON lines or a JSON array, whatever is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from workflow_scripts.artifacts.data import FileFacts
from workflow_scripts.data.checksums import Checksummer, facts_of
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
    """Iterates over (number from 1, bytes) of the lines that aren't blank, or of entries.

    Holds one line at a time; a line longer than `LONGEST_LINE` is cut one byte above that size. An
    array is held whole. Afterwards `word` says what was numbered, `blank` is the number of blank
    lines, `bom` says whether a byte order mark was dropped at the start, and `facts` describes the
    whole file.

    Raises EssenceError when there is no such file, when it is empty or not text, and when an array
    is not JSON.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self.word = "line"
        self.blank = 0
        self.bom = False
        self.facts: FileFacts | None = None

    def place(self, number: int) -> str:
        return f"{self.word} {number}"

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        check_text_file(self.path)
        with open(self.path, "rb") as file:
            self.bom = file.read(len(BOM)) == BOM
            file.seek(len(BOM) * self.bom)
            first = next((char for char in iter(lambda: file.read(1), b"") if char.strip()), None)
            if first == b"[":
                self.word = "entry"
                yield from enumerate(self._entries(), 1)
                self.facts = facts_of(self.path)
            else:
                file.seek(0)
                yield from self._lines(file)

    def _lines(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        checksums = Checksummer(self.path)
        if checksums.size == 0:
            raise EssenceError(f"{self.path}: the file is empty; give one JSON object a line")
        for number, line in enumerate(self._raw_lines(file, checksums), 1):
            if number == 1:
                line = line.removeprefix(BOM)
            if line.strip():
                yield number, line
            else:
                self.blank += 1
        self.facts = checksums.result()

    @staticmethod
    def _raw_lines(file: BinaryIO, checksums: Checksummer) -> Iterator[bytes]:
        while line := file.readline(LONGEST_LINE + 1):
            checksums.update(line)
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(1 << 20)):
                checksums.update(rest)
            yield line

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
