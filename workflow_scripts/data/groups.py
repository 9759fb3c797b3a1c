"""How questions and SQL are compared: rows with equal ones belong together."""


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")
