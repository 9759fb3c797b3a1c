"""Forms of answers: places in a text, and the pieces that may come next at each."""

from typing import Any, NamedTuple, Protocol


class AnyBut(NamedTuple):
    """A run of any characters but these. It may go on at the place after it, or end before one."""

    characters: str


Piece = str | AnyBut


class Form(Protocol):
    """Places are hashable; an answer starts at the place that it is given with."""

    def goes_on(self, place: Any) -> list[tuple[Piece, Any]]:
        """(piece, place after it) of everything that may come next."""
        ...

    def may_end(self, place: Any) -> bool: ...
