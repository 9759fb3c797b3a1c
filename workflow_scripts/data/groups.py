"""Which rows belong together: the same question or the same gold SQL."""

from array import array
from collections.abc import Hashable, Sequence
from hashlib import blake2b


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def digest64(data: bytes) -> int:
    """Eight bytes: two texts of a million share them by chance once in 40 million files."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def text_key(text: str | None) -> int:
    """Stands for a text where millions are compared: equal where `comparable_text` is; 0: none."""
    comparable = comparable_text(text)
    return digest64(comparable.encode()) if comparable else 0


def group_rows(
    idx: Sequence[int], questions: Sequence[Hashable], gold_sql: Sequence[Hashable]
) -> list[int]:
    """The group of each row, named by the smallest idx in it.

    Two rows are in one group when they share their question or their final gold SQL (`text_key`),
    directly or through other rows. The order of the rows doesn't matter.
    """
    # Rows by place; each points to an earlier row of its group, or to itself.
    above = array("q", range(len(idx)))

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = place = above[above[place]]
        return place

    for keys in (questions, gold_sql):
        first_with: dict[Hashable, int] = {}
        for place, key in enumerate(keys):
            if key:
                above[top(place)] = top(first_with.setdefault(key, place))
    smallest = list(idx)  # of the rows below each; at the top of a group, of all its rows
    for place, number in enumerate(idx):
        smallest[top(place)] = min(number, smallest[top(place)])
    return [smallest[top(place)] for place in range(len(above))]
