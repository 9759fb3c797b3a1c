"""T5 for training on a CPU: the rows of a batch one after another, without padding.

Computed with the weights of the library's model, and equal to it but for rounding. A matrix product
takes all tokens of a batch at once; attention takes one row at a time. What no loss needs is never
computed, a source that several rows share is encoded once, and under bf16 numbers are rounded where
a product begins and nowhere between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy, embedding, linear, pad

# Lengths are filled up to a multiple: oneDNN compiles each shape of a product, in up to a
# millisecond, and keeps only so many (see device.py).
SOURCE_STEP, TARGET_STEP = 32, 16
BITS = 15  # of a random number; so the rate of dropout is right to 2 ** -16


def noise(shape: torch.Size, dropped: int) -> torch.Tensor:
    """Whole numbers (int16), each below zero with probability `dropped` / 2 ** BITS."""
    count = shape.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 of them
    return bits.view(torch.int16)[:count].view(shape).bitwise_and_(2**BITS - 1).sub_(dropped)


@dataclass(frozen=True)
class Dropout:
    rate: float

    @cached_property
    def dropped(self) -> int:
        return round(self.rate * 2**BITS)

    @cached_property
    def scale(self) -> float:
        return 2**BITS / (2**BITS - self.dropped)

    def __call__(self, numbers: torch.Tensor) -> torch.Tensor:
        if not self.dropped:
            return numbers
        kept = noise(numbers.shape, self.dropped).clamp_(-1, 0).add_(1)  # 0 or 1
        return numbers * kept.to(numbers.dtype).mul_(self.scale)


class Look(NamedTuple):
    """Queries and the keys that they look at, places among the tokens.

    `at` is a row, or several that look at one source; `of` is a row; the tokens after its first
    `seen` are filling.
    """

    at: slice
    of: slice
    seen: int


def spans(lengths: Sequence[int]) -> list[slice]:
    return [slice(*ends) for ends in pairwise(accumulate(lengths, initial=0))]


class Attention(torch.autograd.Function):
    """softmax(q k' + bias) v, with dropout on the weights, one look at a time.

    q, k, v: tokens x heads x width; each token is in one look. bias: heads x longest x longest, or
    None. For the gradient the weights are kept, with a minus where dropped.
    """

    @staticmethod
    def forward(ctx, q, k, v, bias, looks, dropout):
        ctx.looks, ctx.dropout = looks, dropout
        ctx.bias_shape = None if bias is None else bias.shape
        q, k, v = (each.transpose(0, 1).contiguous() for each in (q, k, v))
        out, kept = torch.empty_like(q), []
        for at, of, seen in looks:
            keys = k[:, of].mT
            if bias is None:
                scores = torch.bmm(q[:, at], keys)
            else:
                near = bias[:, : at.stop - at.start, : of.stop - of.start]
                scores = torch.baddbmm(near, q[:, at], keys)
            scores[..., seen:] = -torch.inf
            weights = scores.softmax(-1)
            if dropout.dropped:
                weights.copysign_(noise(weights.shape, dropout.dropped).to(weights.dtype))
            kept.append(weights)
            out[:, at] = (weights.relu() if dropout.dropped else weights).bmm(v[:, of])
        ctx.save_for_backward(q, k, v, *kept)
        return out.mul_(dropout.scale).transpose(0, 1)

    @staticmethod
    def backward(ctx, d_out):
        q, k, v, *kept = ctx.saved_tensors
        d_out = d_out.transpose(0, 1).mul(ctx.dropout.scale)
        d_q, d_k, d_v = (torch.empty_like(each) for each in (q, k, v))
        d_bias = None if ctx.bias_shape is None else d_out.new_zeros(ctx.bias_shape).float()
        for (at, of, _), weights in zip(ctx.looks, kept, strict=True):
            d_weights = d_out[:, at].bmm(v[:, of].mT)
            if ctx.dropout.dropped:
                d_v[:, of] = weights.relu().mT.bmm(d_out[:, at])
                d_weights = torch.ops.aten.threshold_backward(d_weights, weights, 0)  # 0: dropped
                weights = weights.abs()
            else:
                d_v[:, of] = weights.mT.bmm(d_out[:, at])
            d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            d_q[:, at] = d_scores.bmm(k[:, of])
            d_k[:, of] = d_scores.mT.bmm(q[:, at])
            if d_bias is not None:
                d_bias[:, : d_scores.shape[1], : d_scores.shape[2]] += d_scores
        return *(each.transpose(0, 1) for each in (d_q, d_k, d_v)), d_bias, None, None


class Norm(torch.autograd.Function):
    """T5's layer norm, computed in float32, given in the precision of the product after it."""

    @staticmethod
    def forward(ctx, hidden, weight, eps, dtype):
        scale = hidden.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(hidden, weight, scale)
        return (hidden * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx, d_out):
        hidden, weight, scale = ctx.saved_tensors
        normed, d_normed = hidden * scale, d_out * weight
        d_weight = (d_out * normed).sum(0)
        along = (d_normed * normed).mean(-1, keepdim=True)
        return d_normed.sub_(normed.mul_(along)).mul_(scale), d_weight, None, None


class ByDistance(torch.autograd.Function):
    """heads x length x length, from a number for each distance: heads x (2 length - 1).

    The library looks each place up by itself, and takes the gradient so.
    """

    @staticmethod
    def forward(ctx, values, length, dtype):
        return values.to(dtype).unfold(-1, length, 1).flip(1)

    @staticmethod
    def backward(ctx, d_out):
        heads, length, _ = d_out.shape
        skewed = d_out.new_zeros(heads, length, 2 * length)
        skewed[..., :length] = d_out.flip(1)
        # Read with rows one shorter, each row is one place further: a distance is a column.
        columns = skewed.flatten(1)[:, :-length].unflatten(1, (length, 2 * length - 1))
        return columns.sum(1), None, None


@dataclass(frozen=True)
class Pass:
    """One pass through a T5: the precision of its products and its dropout.

    Tokens lie one after another; hidden states are float32, tokens x width.
    """

    dtype: torch.dtype
    dropout: Dropout

    def stack(
        self,
        stack: Any,
        ids: torch.Tensor,
        rows: list[Look],
        encoded: torch.Tensor | None = None,
        sources: list[Look] | None = None,
    ) -> torch.Tensor:
        """What an encoder says, or a decoder that looks at `encoded`."""
        hidden = self.dropout(embedding(ids, stack.embed_tokens.weight))
        longest = max(row.of.stop - row.of.start for row in rows)
        bias = self.bias(stack.block[0].layer[0].SelfAttention, longest)
        for block in stack.block:
            own = block.layer[0]
            normed = self.norm(own.layer_norm, hidden)
            hidden = hidden + self.attend(own.SelfAttention, normed, normed, rows, bias)
            if encoded is not None:
                cross = block.layer[1]
                normed = self.norm(cross.layer_norm, hidden)
                hidden = hidden + self.attend(cross.EncDecAttention, normed, encoded, sources, None)
            hidden = hidden + self.feed_forward(block.layer[-1], hidden)
        return self.dropout(self.norm(stack.final_layer_norm, hidden))

    def bias(self, attention: Any, longest: int) -> torch.Tensor:
        """The relative bias, heads x longest x longest; a decoder sees no token after its own."""
        distances = torch.arange(1 - longest, longest)
        buckets = attention._relative_position_bucket(
            distances,
            bidirectional=not attention.is_decoder,
            num_buckets=attention.relative_attention_num_buckets,
            max_distance=attention.relative_attention_max_distance,
        )
        values = attention.relative_attention_bias.weight.t().index_select(1, buckets)
        if attention.is_decoder:
            values = values.masked_fill(distances > 0, -torch.inf)
        return ByDistance.apply(values, longest, self.dtype)

    def attend(
        self,
        attention: Any,
        normed: torch.Tensor,
        context: torch.Tensor,
        looks: list[Look],
        bias: torch.Tensor | None,
    ) -> torch.Tensor:
        """Keys and values are made of `context`: the same tokens, or an encoder's."""
        heads = (attention.n_heads, attention.key_value_proj_dim)
        if context is normed:
            parts = self.linear(normed, attention.q, attention.k, attention.v)
            q, k, v = parts.unflatten(1, (3, *heads)).unbind(1)
        else:
            q = self.linear(normed, attention.q).unflatten(1, heads)
            parts = self.linear(context, attention.k, attention.v)
            k, v = parts.unflatten(1, (2, *heads)).unbind(1)
        out = Attention.apply(q, k, v, bias, looks, self.dropout)
        return self.dropout(self.linear(out.flatten(1), attention.o))

    def feed_forward(self, layer: Any, hidden: torch.Tensor) -> torch.Tensor:
        dense, normed = layer.DenseReluDense, self.norm(layer.layer_norm, hidden)
        if hasattr(dense, "wi"):
            inner = dense.act(self.linear(normed, dense.wi))
        else:
            inner = dense.act(self.linear(normed, dense.wi_0)) * self.linear(normed, dense.wi_1)
        return self.dropout(self.linear(self.dropout(inner), dense.wo))

    def norm(self, layer: Any, hidden: torch.Tensor) -> torch.Tensor:
        return Norm.apply(hidden, layer.weight, layer.variance_epsilon, self.dtype)

    def linear(self, numbers: torch.Tensor, *layers: nn.Linear) -> torch.Tensor:
        """What all of the layers give, side by side, from one product."""
        weights = [layer.weight.to(self.dtype) for layer in layers]
        return linear(numbers, torch.cat(weights) if len(weights) > 1 else weights[0])


def suits(model: Any) -> bool:
    """Whether this module computes `model` as the library would."""
    return (
        model.config.model_type == "t5"
        and model.device.type == "cpu"
        and not model.is_activation_checkpointing
    )


def token_losses(model: Any, batch: dict[str, torch.Tensor], ignored: int) -> torch.Tensor:
    """The loss of each label (batch x longest, float32; 0 where it is `ignored`).

    In bf16 under autocast. `batch` is as the Collator makes it.
    """
    rate = model.config.dropout_rate if model.training else 0.0
    bf16 = torch.is_autocast_enabled("cpu")
    work = Pass(torch.bfloat16 if bf16 else torch.float32, Dropout(rate))
    ids, mask, labels = (batch[key] for key in ("input_ids", "attention_mask", "labels"))
    if rate:
        place = torch.arange(len(ids))
    else:
        both, place = torch.stack([ids, mask], 1).unique(dim=0, return_inverse=True)
        ids, mask = both[:, 0], both[:, 1]
    order = place.argsort(stable=True)  # rows of one source lie together
    given = model.prepare_decoder_input_ids_from_labels(labels=labels)[order]
    labels, place = labels[order], place[order]
    seen, written = mask.sum(1), (labels != ignored).sum(1)
    read, write = filled(seen, SOURCE_STEP), filled(written, TARGET_STEP)
    of_source = torch.zeros_like(read).index_add_(0, place, write)
    sources, rows, together = (spans(each.tolist()) for each in (read, write, of_source))
    with torch.autocast("cpu", enabled=False):
        looks = list(map(Look, sources, sources, seen.tolist()))
        encoded = work.stack(model.encoder, tokens(ids, read, 0), looks)
        across = list(map(Look, together, sources, seen.tolist()))
        own = [Look(row, row, row.stop - row.start) for row in rows]
        decoded = work.stack(model.decoder, tokens(given, write, 0), own, encoded, across)
        if model.config.scale_decoder_outputs:
            decoded = decoded * model.model_dim**-0.5
        logits = work.linear(decoded, model.lm_head).float()
        losses = cross_entropy(
            logits, tokens(labels, write, ignored), ignore_index=ignored, reduction="none"
        )
    places = torch.arange(int(write.max())) < write[:, None]
    by_row = losses.new_zeros(places.shape).masked_scatter(places, losses)
    by_row = pad(by_row, (0, labels.shape[1] - by_row.shape[1]))
    return by_row[order.argsort()]


def filled(lengths: torch.Tensor, step: int) -> torch.Tensor:
    return -(-lengths // step) * step


def tokens(table: torch.Tensor, lengths: torch.Tensor, fill: int) -> torch.Tensor:
    """The first of each row of a table, one row after another; `fill` where it is too short."""
    table = pad(table, (0, max(0, int(lengths.max()) - table.shape[1])), value=fill)
    return table[torch.arange(table.shape[1]) < lengths[:, None]]
