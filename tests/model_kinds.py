"""A tiny model of each encoder-decoder kind, with its own kind of tokenizer."""

from pathlib import Path

import tiny_model
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    ByT5Tokenizer,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

ENDS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
BART = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 4096,
}


def unigram() -> PreTrainedTokenizerFast:
    """SentencePiece's, as T5 v1.1, Flan-T5 and mT5 have it."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁w", -3.0)]
    pieces += [(letter, -9.0) for letter in "abcdefghijklmnopqrstuvwxyz0123456789.,:*=()'\""]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Replace("  ", " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ENDS)


def bpe() -> PreTrainedTokenizerFast:
    """RoBERTa's, as BART and CodeT5+ have it: byte-level, with a token at either end."""
    special = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*special.values(), *letters, "Ġw"]
    ids = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(ids, [("Ġ", "w")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def t5(tokenizer, **more):
    return T5ForConditionalGeneration(
        T5Config(vocab_size=384, **tiny_model.SHAPE, **more)
    ), tokenizer


def bart():
    tokens = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(vocab_size=300, **BART, **tokens, forced_bos_token_id=0)
    return BartForConditionalGeneration(config), bpe()


def mt5():
    config = MT5Config(vocab_size=64, **tiny_model.SHAPE, **GATED)
    return MT5ForConditionalGeneration(config), unigram()


KINDS = {
    "T5 v1.1, Flan-T5": lambda: t5(unigram(), **GATED),
    "mT5": mt5,
    "ByT5": lambda: t5(ByT5Tokenizer(), **GATED),
    "CodeT5+": lambda: t5(bpe()),
    "BART": bart,
}


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(1)
    model, tokenizer = KINDS[kind]()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
