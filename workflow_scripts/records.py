"""Reading and writing typed JSON: validated on the way in, canonical on the way out."""

from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json


class Record(BaseModel):
    """A JSON object that stages exchange: no unknown keys, no silent conversions, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _list_keys(cls, given: Any) -> Any:
        """Say which keys there are where one is unknown."""
        unknown = given.keys() - cls.model_fields.keys() if isinstance(given, dict) else ()
        if unknown and cls.model_config["extra"] == "forbid":
            names = {"key": min(map(str, unknown)), "known": ", ".join(sorted(cls.model_fields))}
            raise PydanticCustomError(
                "unknown_key", "unknown key {key}. Known here: {known}", names
            )
        return given

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Raises EssenceError naming the file, and the key when its content does not fit."""
        return parsed(cls, read_json(path), str(path))

    def write(self, path: Path | str) -> None:
        write_json(path, self.model_dump(mode="json"))


Shape = TypeVar("Shape")


def parsed(shape: type[Shape], value: Any, where: str) -> Shape:
    """`value` as a `shape`. Raises EssenceError with the place and the first wrong key."""
    try:
        return TypeAdapter(shape).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        wrong = "not a JSON object" if first["type"] == "model_type" else first["msg"]
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise EssenceError(f"{where}: {key}: {wrong}{more}") from error
