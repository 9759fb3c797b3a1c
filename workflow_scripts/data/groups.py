"""How questions and SQL are compared: rows with equal ones belong together."""

from hashlib import blake2b


def comparable_text(text: str | None) -> str:
    """A question or SQL as it is compared: case, white space and a last semicolon don't count."""
    return " ".join((text or "").casefold().split()).rstrip("; ")


def digest64(data: bytes) -> int:
    """Eight bytes: two texts of a million share them by chance once in 40 million files."""
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
