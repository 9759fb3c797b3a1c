"""Where the stand-in model's weights start: with what a big pre-training would teach first.

T5 has read so much that it knows "price", " price" and "_price" for one word, and copying comes
easily to it. Twenty minutes on two cores are too few to find that out by chance, so it is put in:
the embeddings of a word's forms start alike, and half of the attention heads start by looking for
the like of what they hold (mimetic initialisation, Trockman & Kolter 2023, arXiv:2305.09828).
"""

import math

import torch

from workflow_scripts.data.twin.lexicon import plural

ALIKE = 0.8  # share of an embedding's variance that a word's forms have in common
SHARPNESS = 4.0  # attention logit that a like vector starts with; unlike ones lie around 0


def stems(tokens: list[str]) -> list[str]:
    """Each token's word: what stands before it, case and the plural left out."""
    bare = [token.lstrip("▁_-'").lower() or token for token in tokens]
    words = sorted(set(bare))
    single = {plural(word): word for word in words if word.isalpha() and len(word) > 2}
    return [single.get(word, word) if len(word) > 3 else word for word in bare]


@torch.no_grad()
def start(model, tokens: list[str], seed: int) -> None:
    """Set embeddings and attention of a fresh T5 in place; `tokens` are in the order of ids."""
    generator = torch.Generator().manual_seed(seed)
    words = stems(tokens)
    number = {word: place for place, word in enumerate(dict.fromkeys(words))}
    width = model.config.d_model
    shared = torch.randn(len(number), width, generator=generator)
    own = model.shared.weight[: len(tokens)]
    common = shared[[number[word] for word in words]]
    own.copy_(math.sqrt(ALIKE) * common + math.sqrt(1 - ALIKE) * own)
    for block in model.encoder.block:
        _look_for_likes(block.layer[0].SelfAttention, generator)
    for block in model.decoder.block:
        _look_for_likes(block.layer[1].EncDecAttention, generator)
        _hand_over(block.layer[1].EncDecAttention, generator)


def _look_for_likes(attention, generator: torch.Generator) -> None:
    """Half of the heads: query = key, so that equal contents attend to each other."""
    size = attention.key_value_proj_dim
    rows = attention.n_heads // 2 * size
    basis = _orthogonal(attention.inner_dim, generator)[:rows]
    attention.k.weight[:rows] = basis
    attention.q.weight[:rows] = basis * SHARPNESS / size


def _hand_over(attention, generator: torch.Generator) -> None:
    """Output undoes value, so that what is attended to is handed over as it is."""
    basis = _orthogonal(attention.inner_dim, generator)
    attention.v.weight.copy_(basis)
    attention.o.weight.copy_(basis.T)


def _orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
