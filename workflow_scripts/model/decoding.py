"""Greedy decoding in batches, by the library's own loop: equal sources once, the shortest first."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import LogitsProcessor, LogitsProcessorList

from workflow_scripts.errors import EssenceError
from workflow_scripts.model import say
from workflow_scripts.model.batches import pad_sources
from workflow_scripts.model.constraint import LLMatcher, allowed

SECONDS_BETWEEN_LINES = 10


class Question(NamedTuple):
    """A source, what its answer must begin with, and the form that it must keep to."""

    source: tuple[int, ...]
    beginning: tuple[int, ...]
    form: LLMatcher | None


def generate(
    model: Any,
    sources: list[list[int]],
    pad: int,
    new_tokens: int,
    batch_size: int,
    beginnings: Sequence[list[int]] = (),
    forms: Sequence[LLMatcher | None] = (),
) -> list[list[int]]:
    """Token ids of each answer, without the start token and padding, in the order of `sources`.

    With `beginnings`, one per source, each answer is made to start with its own; with `forms`, one
    per source (model/constraint.py), each that has one keeps to it. Raises EssenceError when the
    GPU's memory does not suffice for a single row.
    """
    questions = [
        Question(tuple(source), tuple(beginning), form)
        for source, beginning, form in zip(
            sources,
            beginnings or [[]] * len(sources),
            forms or [None] * len(sources),
            strict=True,
        )
    ]
    distinct = sorted(dict.fromkeys(questions), key=lambda each: (len(each.source), *each[:2]))
    answers: dict[Question, list[int]] = {}
    last_line = time.monotonic()
    while len(answers) < len(distinct):
        batch = distinct[len(answers) : len(answers) + batch_size]
        try:
            answers |= zip(batch, decode_greedily(model, batch, pad, new_tokens), strict=True)
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise EssenceError(
                    "the GPU has too little memory to answer a single row. Lower the recipe's "
                    "source_tokens or generate_tokens, or set model.device to cpu."
                ) from None
            batch_size //= 2
            say(f"out of GPU memory: {batch_size} rows at a time")
        if time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            say(f"answered {len(answers)} of {len(distinct)} distinct sources")
            last_line = time.monotonic()
    return [answers[question] for question in questions]


def decode_greedily(
    model: Any, batch: list[Question], pad: int, new_tokens: int
) -> list[list[int]]:
    """Token ids of each answer up to and with its end token."""
    both = model.config.is_encoder_decoder
    sources = [list(question.source) for question in batch]
    ids, mask = pad_sources(sources, pad, "right" if both else "left")
    before = 1 if both else ids.shape[1]  # the start token, or the prompt
    with torch.inference_mode():
        whole = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=pad,
            logits_processor=LogitsProcessorList([KeepToForm(batch, before)]),
        )
    ends, answers = end_tokens(model), []
    for answer in whole[:, before:].tolist():
        length = next((n for n, token in enumerate(answer, 1) if token in ends), len(answer))
        answers.append(answer[:length])
    return answers


def end_tokens(model: Any) -> set[int]:
    """Those that end an answer; chat models may have several."""
    ends = model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


class KeepToForm(LogitsProcessor):
    """Rules out the tokens that the beginning or the form of a row does not allow."""

    def __init__(self, batch: list[Question], before: int):
        """`before`: how many tokens stand before the answers."""
        self.batch, self.before = batch, before
        self.forms = [each.form and each.form.deep_copy() for each in batch]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`input_ids`: batch x tokens up to here; `scores`: batch x vocabulary."""
        step = input_ids.shape[1] - self.before
        for row, question in enumerate(self.batch):
            form = self.forms[row]
            if step and form and not form.consume_token(int(input_ids[row, -1])):
                form = self.forms[row] = (
                    None  # the beginning left the form, or the answer has ended
                )
            if step < len(question.beginning):
                kept = [question.beginning[step]]
            elif not form or not len(kept := allowed(form)):
                continue
            rest = torch.full_like(scores[row], -torch.inf)
            rest[kept] = scores[row, kept]
            scores[row] = rest
        return scores
