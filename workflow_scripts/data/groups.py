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
    from networkx.utils import UnionFind  # here: it takes 0.1 s to import, and few need it

    groups = UnionFind(idx)
    first_with: dict[tuple[str, str], int] = {}
    for number, question, sql in zip(idx, questions, gold_sql, strict=True):
        for key in (("question", comparable_text(question)), ("sql", comparable_text(sql))):
            if key[1]:
                groups.union(first_with.setdefault(key, number), number)
    smallest: dict[int, int] = {}
    for number in sorted(idx):
        smallest.setdefault(groups[number], number)
    return [smallest[groups[number]] for number in idx]
