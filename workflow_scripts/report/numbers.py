"""How numbers are written in tables."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def to_csv(frame: "pd.DataFrame") -> str:
    """Twelve digits: the value that was measured, and the same bytes on every machine."""
    return frame.to_csv(index=False, float_format="%.12g", lineterminator="\n")


def rate(value: float) -> str:
    """A learning rate as people write it: 1e-4."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
