"""Which rows belong together: the same question or the same gold SQL."""

from hashlib import blake2b

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def digest64(data: bytes) -> int:
    """Eight bytes: two texts of a million share them by chance once in 40 million files."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def group_rows(keys: pd.DataFrame) -> pd.Series:
    """The group of each row, named by the smallest label of the index in it.

    Two rows are in one group when they share a value of a column, directly or through other rows;
    an empty text is no value. The order of the rows doesn't matter.
    """
    size = len(keys)  # a graph: the rows, then the values that they are linked through
    rows, values = [], []
    for name in keys:
        codes, texts = pd.factorize(keys[name].where(keys[name] != ""))
        rows.append(np.flatnonzero(codes >= 0))
        values.append(size + codes[codes >= 0])
        size += len(texts)
    ends = np.concatenate(rows), np.concatenate(values)
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    return keys.index.to_series().groupby(group[: len(keys)]).transform("min")
