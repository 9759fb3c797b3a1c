"""Make a model of T5-small's size with random weights: what `configs/rehearsal.yaml` starts from.

Layers, width, embedding and the number of tokens are T5-small's. So is what its tokenizer lacks
(see `t5_tokenizer.py`), and about how many tokens it makes of a prompt: it knows the
words that prompts have in common, and has groups of up to three letters for all others.
"""

from itertools import product
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Annotated

from workflow_scripts.formats.prompts import CONSTANT
from workflow_scripts.model.random_weights import random_weights
from workflow_scripts.model.t5_tokenizer import (
    CHARACTERS,
    SENTINELS,
    SPACE,
    make_tokenizer,
    most_frequent,
)
from workflow_scripts.stage import Setting, run_stage

TOKENS = 32_100
SIZE = {
    "vocab_size": 32_128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "decoder_start_token_id": 0,
}


def random_t5_small(
    out: Annotated[Path, Setting("folder for the model")],
    seed: Annotated[int, Setting("decides the weights")] = 42,
) -> None:
    from transformers import T5Config

    with TemporaryDirectory() as folder:
        T5Config(architectures=["T5ForConditionalGeneration"], **SIZE).save_pretrained(folder)
        make_tokenizer(pieces()).save_pretrained(folder)
        random_weights(Path(folder), out, seed)


def pieces() -> list[str]:
    """As many as T5 has, special tokens aside: the likeliest first."""
    known = most_frequent(CONSTANT.values(), size=TOKENS, rare=1)
    pairs = [*letters(ascii_lowercase, 2), *letters(ascii_uppercase, 2)]
    triples = letters(ascii_lowercase, 3)
    starts = [SPACE + group for group in (*letters(ascii_lowercase, 2), *triples)]
    every = dict.fromkeys([SPACE, *CHARACTERS, *known, *pairs, *triples, *starts])
    return list(every)[: TOKENS - SENTINELS - 3]


def letters(alphabet: str, count: int) -> list[str]:
    """All groups of so many letters."""
    return ["".join(group) for group in product(alphabet, repeat=count)]


if __name__ == "__main__":
    run_stage(random_t5_small)
