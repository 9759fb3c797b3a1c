"""Which rows belong together: the same question or the same gold SQL."""

from collections.abc import Sequence


def normalised(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def group_rows(
    idx: Sequence[int], questions: Sequence[str | None], gold_sql: Sequence[str | None]
) -> list[int]:
    """The group of each row, named by the smallest idx in it.

    Two rows are in one group when they share their question or their final gold SQL, directly
    or through other rows. The order of the rows doesn't matter.
    """
    parent = {number: number for number in idx}

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = number = parent[parent[number]]
        return number

    first_with: dict[tuple[str, str], int] = {}
    for number, question, sql in zip(idx, questions, gold_sql, strict=True):
        for key in (("question", normalised(question)), ("sql", normalised(sql))):
            if key[1]:
                one, other = sorted((root(first_with.setdefault(key, number)), root(number)))
                parent[other] = one
    return [root(number) for number in idx]
