"""Layers of T5 for training on a CPU: equal to the library's, to rounding, in half the time.

Most of a step of a small T5 there goes into passes over the attention's scores (rows x heads x
queries x keys) in float32, as much again into drawing what is dropped, and a tenth into adding up
the gradient of a few relative biases. Here scores keep the dtype of the queries, dropout compares
15 random bits with a threshold, and the gradient of the biases is one `index_add`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

NAME = "cpu"  # among the library's attentions
BITS = 15  # of a random number; so the rate of dropout is right to 2 ** -16


def noise(shape: torch.Size, dropped: int) -> torch.Tensor:
    """Whole numbers (int16), each below zero with probability `dropped` / 2 ** BITS."""
    count = shape.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 of them
    return bits.view(torch.int16)[:count].view(shape).bitwise_and_(2**BITS - 1).sub_(dropped)


class _Attention(torch.autograd.Function):
    """softmax(q k' + bias + mask) v, with dropout on the weights, one row of the batch at a time.

    q, k, v: rows x heads x length x width; bias: 1 x heads x queries x keys; mask (or None): rows x
    1 x queries x keys, without gradient. For the gradient one tensor is kept: the weights, with a
    minus where dropped.
    """

    @staticmethod
    def forward(ctx, q, k, v, bias, mask, dropout):
        dropped = round(dropout * 2**BITS)
        ctx.scale, ctx.bias_dtype = 2**BITS / (2**BITS - dropped), bias.dtype
        bias, mask = bias[0].to(q.dtype), None if mask is None else mask.to(q.dtype)
        weights = q.new_empty(*q.shape[:3], k.shape[2])
        out = q.new_empty(*q.shape[:3], v.shape[3])
        for row, kept in enumerate(weights):
            scores = bias.clone() if mask is None else bias + mask[row]
            torch.softmax(scores.baddbmm_(q[row], k[row].mT), -1, out=kept)
            if dropped:
                kept.copysign_(noise(kept.shape, dropped).to(kept.dtype))
            torch.bmm(kept.relu(), v[row], out=out[row])
        ctx.save_for_backward(q, k, v, weights)
        return out.mul_(ctx.scale)

    @staticmethod
    def backward(ctx, d_out):
        q, k, v, weights = ctx.saved_tensors
        d_out = d_out * ctx.scale
        d_q, d_k, d_v = (torch.empty(each.shape, dtype=each.dtype) for each in (q, k, v))
        d_bias = torch.zeros(1, *weights.shape[1:], dtype=ctx.bias_dtype)
        for row, kept in enumerate(weights):
            torch.bmm(kept.relu().mT, d_out[row], out=d_v[row])
            d_weights = d_out[row].bmm(v[row].mT)
            d_weights = torch.ops.aten.threshold_backward(d_weights, kept, 0)  # 0 where dropped
            d_scores = torch._softmax_backward_data(d_weights, kept.abs(), -1, kept.dtype)
            torch.bmm(d_scores, k[row], out=d_q[row])
            torch.bmm(d_scores.mT, q[row], out=d_k[row])
            if ctx.needs_input_grad[3]:
                d_bias += d_scores
        return d_q, d_k, d_v, d_bias, None, None


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    position_bias: torch.Tensor,
    dropout: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """As the library's layers call it: (rows x queries x heads x width, no weights)."""
    with torch.autocast("cpu", enabled=False):
        out = _Attention.apply(query, key, value, position_bias, attention_mask, dropout)
    return out.transpose(1, 2), None


class Dropout(nn.Dropout):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.p:
            return numbers
        dropped = round(self.p * 2**BITS)
        kept = noise(numbers.shape, dropped).clamp_(-1, 0).add_(1)  # 0 or 1
        return numbers * kept.to(numbers.dtype).mul_(2**BITS / (2**BITS - dropped))


class RelativeBias(nn.Embedding):
    def forward(self, buckets: torch.Tensor) -> torch.Tensor:
        """queries x keys x heads; the library's own takes its gradient one place at a time."""
        by_head = self.weight.t().index_select(1, buckets.flatten())
        return by_head.unflatten(1, buckets.shape).permute(1, 2, 0)


def use_cpu_layers(model: nn.Module) -> None:
    """Let a T5 compute with these layers; its weights, and what it computes, stay the same."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    model.set_attn_implementation(NAME)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))
            elif name == "relative_attention_bias":
                setattr(module, name, RelativeBias.from_pretrained(child.weight, freeze=False))
