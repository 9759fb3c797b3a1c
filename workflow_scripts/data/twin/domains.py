"""The twin's hand-made domains; `schema.py` explains the form of the files.

The stand-in's pre-training knows the words of `KNOWN_DOMAINS` (not their databases). Of
`UNSEEN_DOMAINS` it knows nothing: they are the databases that no model has seen.
"""

from collections.abc import Iterable
from pathlib import Path

USES_FILES = ["domains.txt", "unseen_domains.txt"]
KNOWN_DOMAINS, UNSEEN_DOMAINS = (
    Path(__file__).with_name(name).read_text(encoding="utf-8").strip().split("\n\n")
    for name in USES_FILES
)


def domain_names(domains: Iterable[str] = (*KNOWN_DOMAINS, *UNSEEN_DOMAINS)) -> list[str]:
    """The databases' names: the first word of each domain."""
    return [text.split(maxsplit=1)[0] for text in domains]
