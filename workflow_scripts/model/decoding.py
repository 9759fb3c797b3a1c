"""Greedy decoding in batches: equal sources once, finished rows no longer.

The library's own loop computes every row of a batch until the longest answer has ended. Ours, which
the library calls in its place (`custom_generate`), leaves finished rows out; the tokens are the
same. Equal sources are decoded once, which saves most of the work where truncation has made rows of
a task equal. Sources are taken by length, so that a batch holds little padding.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from transformers.modeling_outputs import BaseModelOutput

from workflow_scripts.errors import EssenceError
from workflow_scripts.model import progress
from workflow_scripts.model.batches import pad_sources
from workflow_scripts.model.constraint import Constraint
from workflow_scripts.model.progress import time_left

SECONDS_BETWEEN_LINES = 10
# Least share of finished rows that is left out: leaving out copies the caches of all others.
WORTH_COPYING = 0.2


def generate(
    model: Any,
    sources: list[list[int]],
    pad: int,
    new_tokens: int,
    batch_size: int,
    beginnings: Sequence[list[int]] = (),
    constraints: Sequence[Constraint | None] = (),
    say: Callable[[str], None] = progress.say,
) -> list[list[int]]:
    """Token ids of each answer, without the start token and padding, in the order of `sources`.

    With `beginnings`, one a source, each answer is made to start with its own; with `constraints`,
    one a source, each that has one keeps to it, wherever the vocabulary allows that.
    Raises EssenceError when the GPU's memory does not suffice for a single row.
    """
    starts = beginnings or [[] for _ in sources]
    held = constraints or [None for _ in sources]
    asked = [
        Asked(tuple(source), tuple(start), constraint)
        for source, start, constraint in zip(sources, starts, held, strict=True)
    ]
    distinct = sorted(dict.fromkeys(asked), key=lambda one: (len(one.source), *one[:2]))
    say(f"{len(sources)} rows, {len(distinct)} distinct sources")
    decode = decode_greedily if model.config.is_encoder_decoder else continue_greedily
    answers: dict[Asked, list[int]] = {}
    started = last_line = time.monotonic()
    while len(answers) < len(distinct):
        batch = distinct[len(answers) : len(answers) + batch_size]
        try:
            answers |= zip(batch, decode(model, batch, pad, new_tokens), strict=True)
        except torch.OutOfMemoryError:
            batch_size = _halved(batch_size, say)
            continue
        left = len(distinct) - len(answers)
        if not left or time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
            eta = time_left(started, len(answers), left)
            say(f"answered {len(answers)}/{len(distinct)}, ETA {eta}")
            last_line = time.monotonic()
    return [answers[one] for one in asked]


class Asked(NamedTuple):
    """A source, and the constraint on its answer."""

    source: tuple[int, ...]
    beginning: tuple[int, ...]
    constraint: Constraint | None


def _halved(batch_size: int, say: Callable[[str], None]) -> int:
    if batch_size == 1:
        raise EssenceError(
            "the GPU has too little memory to answer a single row. Lower the recipe's "
            "source_tokens or generate_tokens, or set model.device to cpu."
        )
    say(f"out of GPU memory: {batch_size // 2} rows at a time")
    return batch_size // 2


def decode_greedily(model: Any, batch: list[Asked], pad: int, new_tokens: int) -> list[list[int]]:
    """Token ids of each answer up to and with its end token."""
    ids, mask = pad_sources([list(one.source) for one in batch], pad)
    with torch.inference_mode():
        return model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            custom_generate=partial(_unfinished_rows_only, batch),
        )


def continue_greedily(model: Any, batch: list[Asked], pad: int, new_tokens: int) -> list[list[int]]:
    """The same of a decoder-only model, by the library's own loop: answers go on from prompts."""
    prompts = [[*one.source, *one.beginning] for one in batch]
    ids, mask = pad_sources(prompts, pad, "left")
    with torch.inference_mode():
        whole = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=new_tokens,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            pad_token_id=pad,
        )
    ends, answers = end_tokens(model), []
    for one, written in zip(batch, whole[:, ids.shape[1] :].tolist(), strict=True):
        answer = [*one.beginning, *written][:new_tokens]
        end = next((place for place, token in enumerate(answer) if token in ends), new_tokens)
        answers.append(answer[: end + 1])
    return answers


def end_tokens(model: Any) -> set[int]:
    """Those that end an answer; chat models may have several."""
    ends = model.generation_config.eos_token_id
    return set(ends) if isinstance(ends, list) else {ends}


def _unfinished_rows_only(
    batch: list[Asked],
    model: Any,
    input_ids: torch.Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    **state: Any,
) -> list[list[int]]:
    """The loop of decoding: `input_ids` (rows x 1) holds start tokens, the encoder has run.

    An argument that the library's loops lack would be taken away from the encoder: so `state`.
    """
    answers: list[list[int]] = [[] for _ in input_ids]
    rows = torch.arange(len(answers))
    longest = max(len(one.beginning) for one in batch)
    states = [one.constraint and one.constraint.start for one in batch]
    constrained = any(states)
    encoded, mask = state["encoder_outputs"].last_hidden_state, state["attention_mask"]
    cache = state["past_key_values"]  # of the decoder and, computed once, of the encoder's output
    ended = torch.zeros(len(answers), dtype=torch.bool, device=input_ids.device)
    while True:
        logits = model(
            encoder_outputs=BaseModelOutput(encoded),
            attention_mask=mask,
            decoder_input_ids=input_ids[:, -1:],
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
        if constrained:
            _keep_allowed(logits, [(batch[row].constraint, states[row]) for row in rows.tolist()])
        chosen = logits_processor(input_ids, logits).argmax(-1)
        step = input_ids.shape[1] - 1
        for place, row in enumerate(rows.tolist() if step < longest else ()):
            if step < len(batch[row].beginning):
                chosen[place] = batch[row].beginning[step]
        input_ids = torch.cat([input_ids, chosen[:, None]], 1)
        for row, token, over in zip(rows.tolist(), chosen.tolist(), ended.tolist(), strict=True):
            if not over:
                answers[row].append(token)
                if states[row]:
                    states[row] = batch[row].constraint.after(states[row], token)
        ended |= stopping_criteria(input_ids, None)
        if ended.all():
            return answers
        if ended.float().mean() >= WORTH_COPYING:
            (left,) = torch.where(~ended)
            cache.batch_select_indices(left)
            encoded, mask = encoded[left], mask[left]
            input_ids, ended, rows = input_ids[left], ended[left], rows[left.cpu()]


def _keep_allowed(logits: torch.Tensor, held: list[tuple[Constraint | None, Any]]) -> None:
    """Rule out the tokens that a row's constraint does not allow; `held`: constraint and state."""
    for place, (constraint, state) in enumerate(held):
        allowed = constraint.allowed(state) if state else []
        if allowed:
            kept = logits[place, allowed]
            logits[place] = -torch.inf
            logits[place, allowed] = kept
