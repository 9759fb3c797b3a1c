"""Which rows belong together: the same question or the same gold SQL."""

from collections.abc import Sequence


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def group_rows(
    idx: Sequence[int], questions: Sequence[str | None], gold_sql: Sequence[str | None]
) -> list[int]:
    """The group of each row, named by the smallest idx in it.

    Two rows are in one group when they share their question or their final gold SQL, directly
    or through other rows. The order of the rows doesn't matter.
    """
    # Rows by place; each points to an earlier row of its group, or to itself.
    above = list(range(len(idx)))

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = place = above[above[place]]
        return place

    for texts in (questions, gold_sql):
        first_with: dict[str, int] = {}
        for place, text in enumerate(map(comparable_text, texts)):
            if text:
                above[top(place)] = top(first_with.setdefault(text, place))
    smallest: dict[int, int] = {}
    for place, number in enumerate(idx):
        smallest[top(place)] = min(number, smallest.get(top(place), number))
    return [smallest[top(place)] for place in range(len(above))]
