"""The twin's hand-made domains; `schema.py` explains the form of domains.txt."""

from pathlib import Path

USES_FILES = ["domains.txt"]
DOMAINS = Path(__file__).with_name("domains.txt").read_text(encoding="utf-8").strip().split("\n\n")


def domain_names() -> list[str]:
    """The databases' names: the first word of each domain."""
    return [text.split(maxsplit=1)[0] for text in DOMAINS]
