"""What a model says at each place of the targets of a batch, and its losses there."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PretrainedConfig
from transformers.modeling_outputs import BaseModelOutput

from workflow_scripts.model.batches import IGNORED


def token_losses(
    model: Any,
    batch: dict[str, torch.Tensor],
    pad: int,
    autocast: Callable[[], AbstractContextManager],
) -> torch.Tensor:
    """The loss of each label, batch x longest target, 0 where it is ignored."""
    labels = batch["labels"]
    logits = target_logits(model, batch, pad, autocast).float()
    losses = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(labels.shape)


def target_logits(
    model: Any,
    batch: dict[str, torch.Tensor],
    pad: int,
    autocast: Callable[[], AbstractContextManager],
) -> torch.Tensor:
    """Logits, batch x longest target x vocabulary; `batch` is as the Collator makes it."""
    ids, mask, labels = (batch[key] for key in ("input_ids", "attention_mask", "labels"))
    if not model.config.is_encoder_decoder:
        return answer_logits(model, ids, mask, labels.where(labels != IGNORED, pad))
    encoded = None
    if not (model.training and draws_dropout(model.config)):
        with autocast():  # as inside the model's own forward
            encoded = encode_distinct(model, ids, mask)
    return model(
        input_ids=ids,
        attention_mask=mask,
        encoder_outputs=encoded,
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels=labels),
        use_cache=False,
    ).logits


def draws_dropout(config: PretrainedConfig) -> bool:
    """Whether training draws anything that tells equal rows apart; each kind has its own names."""
    return any("drop" in name and value for name, value in vars(config).items())


def encode_distinct(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> BaseModelOutput:
    """The encoder's output (batch x length x width), equal rows computed once.

    Only where no dropout tells equal rows apart. Truncation has made many rows equal.
    """
    encoder = model.get_encoder()
    distinct, places = torch.stack([ids, mask], 1).unique(dim=0, return_inverse=True)
    if len(distinct) == len(ids):
        return encoder(input_ids=ids, attention_mask=mask)
    encoded = encoder(input_ids=distinct[:, 0], attention_mask=distinct[:, 1])
    return BaseModelOutput(encoded.last_hidden_state.index_select(0, places))


def answer_logits(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, answers: torch.Tensor
) -> torch.Tensor:
    """A decoder-only model's logits at each place of `answers` (batch x longest answer).

    `ids` and `mask` (batch x longest prompt) are padded on the left, so that all answers begin at
    one place. Only there are logits computed: those of a prompt would be thrown away.
    """
    whole = torch.cat([mask, torch.ones_like(answers)], 1)
    logits = model(
        input_ids=torch.cat([ids, answers], 1),
        attention_mask=whole,
        position_ids=(whole.cumsum(1) - 1).clamp(min=0),
        logits_to_keep=answers.shape[1] + 1,
        use_cache=False,
    ).logits
    return logits[:, :-1]  # each place tells the next token
