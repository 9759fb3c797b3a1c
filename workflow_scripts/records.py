"""Reading and writing typed JSON: validated on the way in, canonical on the way out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import numbered_jsonl, read_json, write_json, write_jsonl


class Record(BaseModel):
    """A JSON object that stages exchange: no unknown keys, no silent conversions, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Raises EssenceError naming the file, and the key when its content does not fit."""
        return parsed(cls, read_json(path), str(path))

    def write(self, path: Path | str) -> None:
        write_json(path, self.model_dump(mode="json"))


Shape = TypeVar("Shape")


def parsed(shape: type[Shape] | TypeAdapter[Shape], value: Any, where: str) -> Shape:
    """`value` as a `shape`. Raises EssenceError with the place and the first wrong key."""
    try:
        return _adapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        wrong = "not a JSON object" if first["type"] == "model_type" else first["msg"]
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise EssenceError(f"{where}: {key}: {wrong}{more}") from error


def read_lines(shape: type[Shape] | TypeAdapter[Shape], path: Path | str) -> Iterator[Shape]:
    """The lines of a JSONL file, each as a `shape`; errors name file and line."""
    adapter = _adapter(shape)
    for number, value in numbered_jsonl(path):
        yield parsed(adapter, value, f"{path}, line {number}")


def _adapter(shape: type[Shape] | TypeAdapter[Shape]) -> TypeAdapter[Shape]:
    return shape if isinstance(shape, TypeAdapter) else TypeAdapter(shape)


def write_lines(path: Path | str, lines: Iterable[BaseModel]) -> None:
    write_jsonl(path, (line.model_dump(mode="json") for line in lines))
