"""How numbers are written in tables and figures."""


def rate(value: float) -> str:
    """A learning rate as people write it: 1e-4."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
