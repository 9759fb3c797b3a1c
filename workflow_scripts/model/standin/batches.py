"""The texts that the stand-in is pre-trained on: for its vocabulary, and in batches of examples."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import torch

from workflow_scripts.artifacts.pretraining import PretrainingSettings
from workflow_scripts.data.twin import corpus
from workflow_scripts.formats import constants

CHUNK = 40  # batches that are sorted by length together


def vocabulary_texts(examples: int) -> Iterator[str]:
    """What the tokenizer's tokens come from: the corpus and the words of the agents' prompts.

    Words that the prompts repeat become whole tokens and the others are spelled out, as T5 splits
    rare words: the constant parts are then about as long as in T5's tokens (the Refiner's needs
    all of its words for that), and truncation at 512 cuts the rows where it cuts the real ones.
    """
    yield from corpus.vocabulary_texts(examples)
    for _ in range(2):
        yield from (constants.SELECTOR, constants.DECOMPOSER, constants.DECOMPOSER_CLOSING)
    for _ in range(3):
        yield from (constants.REFINER, constants.REFINER_CLOSING)


def chunk_of(settings: PretrainingSettings, number: int) -> Iterator[corpus.Example]:
    """The examples of `CHUNK` batches; the same settings give the same ones."""
    count = settings.batch_size * CHUNK
    return corpus.examples(settings.seed * 100_003 + number + 1, count)


def batches(
    tokenizer: Any, settings: PretrainingSettings, first: int = 0
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of similar lengths: input_ids, attention_mask, labels (-100 = padding).

    They start with the chunk that has the number `first`.
    """
    size = settings.batch_size
    for number in itertools.count(first):
        examples = list(chunk_of(settings, number))
        sources = tokenizer(
            [e.source for e in examples], truncation=True, max_length=settings.source_tokens
        )
        targets = tokenizer(
            [e.target for e in examples], truncation=True, max_length=settings.target_tokens
        )
        pairs = list(zip(sources["input_ids"], targets["input_ids"], strict=True))
        pairs.sort(key=lambda pair: (len(pair[0]), len(pair[1])))
        order = list(range(CHUNK))
        random.Random(number).shuffle(order)
        for place in order:
            yield _tensors(pairs[place * size : (place + 1) * size])


def _tensors(pairs: list[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    # Rounded up: every new shape costs the CPU's kernels a preparation of their own.
    width = -(-max(len(s) for s, _ in pairs) // 16) * 16
    height = -(-max(len(t) for _, t in pairs) // 8) * 8
    sources = torch.tensor([s + [0] * (width - len(s)) for s, _ in pairs])
    labels = torch.tensor([t + [-100] * (height - len(t)) for _, t in pairs])
    return {"input_ids": sources, "attention_mask": (sources != 0).long(), "labels": labels}
