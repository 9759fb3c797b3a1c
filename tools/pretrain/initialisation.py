"""How the stand-in model's weights are initialised: with what a large pre-training learns first.

T5 has read so much text that "price", " price" and "_price" are one word to it, and it copies with
ease. Twenty minutes on two cores are too few to learn that, so the initialisation provides it: the
embeddings of a word's forms start similar, and half of the attention heads start by attending to
equal contents (mimetic initialisation, Trockman & Kolter 2023, arXiv:2305.09828).
"""

import math
from typing import Any

import torch

from tools.twin.worlds import plural

COMMON = 0.8  # share of an embedding's variance that a word's forms have in common
SHARPNESS = 4.0  # initial attention logit between equal vectors; between others it is around 0


def stems(tokens: list[str]) -> list[str]:
    """Each token's word, without the mark before it, its case and its plural."""
    bare = [token.lstrip("▁_-'").lower() or token for token in tokens]
    words = sorted(set(bare))
    single = {plural(word): word for word in words if word.isalpha() and len(word) > 2}
    return [single.get(word, word) if len(word) > 3 else word for word in bare]


@torch.no_grad()
def initialise(model: Any, tokens: list[str], seed: int) -> None:
    """Set embeddings and attention of a new T5 in place; `tokens` are in the order of ids."""
    generator = torch.Generator().manual_seed(seed)
    words = stems(tokens)
    number = {word: place for place, word in enumerate(dict.fromkeys(words))}
    width = model.config.d_model
    shared = torch.randn(len(number), width, generator=generator)
    own = model.shared.weight[: len(tokens)]
    common = shared[[number[word] for word in words]]
    own.copy_(math.sqrt(COMMON) * common + math.sqrt(1 - COMMON) * own)
    for block in model.encoder.block:
        _attend_to_equals(block.layer[0].SelfAttention, generator)
    for block in model.decoder.block:
        _attend_to_equals(block.layer[1].EncDecAttention, generator)
        _copy_values(block.layer[1].EncDecAttention, generator)


def _attend_to_equals(attention, generator: torch.Generator) -> None:
    """Half of the heads: query = key, so that equal contents attend to each other."""
    size = attention.key_value_proj_dim
    rows = attention.n_heads // 2 * size
    basis = _orthogonal(attention.inner_dim, generator)[:rows]
    attention.k.weight[:rows] = basis
    attention.q.weight[:rows] = basis * SHARPNESS / size


def _copy_values(attention, generator: torch.Generator) -> None:
    """Output inverts value, so that what is attended to is passed on as it is."""
    basis = _orthogonal(attention.inner_dim, generator)
    attention.v.weight.copy_(basis)
    attention.o.weight.copy_(basis.T)


def _orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
