"""Make configuration and tokenizer of T5-small's size, which configs/rehearsal.yaml starts from.

    python -m tools.t5_small --out DIR

Layers, width, embedding and the number of tokens are T5-small's. So is what its tokenizer lacks
(see pretrain/tokenizer.py), and about how many tokens it makes of a prompt: it knows the words that
prompts have in common, and has groups of up to three letters for all others.
"""

from itertools import product
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Annotated

from tools.pretrain.tokenizer import CHARACTERS, SENTINELS, SPACE, make_tokenizer, most_frequent
from workflow_scripts.files import write_json
from workflow_scripts.formats.prompts import CONSTANT
from workflow_scripts.stage import Setting, run_stage

TOKENS = 32_100
CONFIG = {
    "model_type": "t5",
    "is_encoder_decoder": True,
    "vocab_size": 32_128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "decoder_start_token_id": 0,
}


def t5_small(
    out: Annotated[Path, Setting("folder for config.json and the tokenizer")],
) -> None:
    write_json(out / "config.json", CONFIG)
    make_tokenizer(pieces()).save_pretrained(out)


def pieces() -> list[str]:
    """As many as T5 has, special tokens aside: the likeliest first."""
    known = most_frequent(CONSTANT.values(), size=TOKENS, rare=1)
    pairs = [*_groups(ascii_lowercase, 2), *_groups(ascii_uppercase, 2)]
    triples = _groups(ascii_lowercase, 3)
    starts = [SPACE + group for group in (*_groups(ascii_lowercase, 2), *triples)]
    every = dict.fromkeys([SPACE, *CHARACTERS, *known, *pairs, *triples, *starts])
    return list(every)[: TOKENS - SENTINELS - 3]


def _groups(alphabet: str, count: int) -> list[str]:
    return ["".join(group) for group in product(alphabet, repeat=count)]


if __name__ == "__main__":
    run_stage(t5_small)
