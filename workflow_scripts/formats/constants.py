"""The constant text that stands before a row's own text in each prompt, and the closing sentences.

The first and last sentences and the section marks are the format's; the rules and the worked
examples, with their databases, are this project's own. The lengths matter: like the originals,
the Selector's and the Decomposer's are far longer than 512 tokens, which is what makes a source
of 512 tokens say nothing of its row.
"""

from pathlib import Path

USES_FILES = ["selector.txt", "decomposer.txt", "refiner.txt"]
SELECTOR, DECOMPOSER, REFINER = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in USES_FILES
)
DECOMPOSER_CLOSING = (
    "Decompose the question into sub questions, considering 【Constraints】, and generate the SQL "
    "after thinking step by step:"
)
REFINER_CLOSING = "Now please fix up the old SQL and write the new SQL in full."
