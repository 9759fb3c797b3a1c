"""A tiny model of each encoder-decoder kind, with its own kind of tokenizer."""

from pathlib import Path

import tiny_model
import torch
from material import ROOT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

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
    return PreTrainedTokenizerFast.from_pretrained(ROOT / "resources/models/standin")


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
    config = T5Config(vocab_size=len(tokenizer) + 8, **tiny_model.SHAPE, **more)
    return T5ForConditionalGeneration(config), tokenizer


def bart():
    tokens = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(vocab_size=300, **BART, **tokens, forced_bos_token_id=0)
    return BartForConditionalGeneration(config), bpe()


GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
KINDS = {
    "T5 v1.1, Flan-T5, mT5": lambda: t5(unigram(), **GATED),
    "ByT5": lambda: t5(ByT5Tokenizer(), **GATED),
    "CodeT5+": lambda: t5(bpe()),
    "BART": bart,
}


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(1)
    for part in KINDS[kind]():
        part.save_pretrained(folder)
    return folder
