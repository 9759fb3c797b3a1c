"""A small model in the form of the report's base model, with SentencePiece's tokenizer."""

import io
import json
import string
from pathlib import Path

import sentencepiece
import tiny_model
import torch
from transformers import T5Config, T5ForConditionalGeneration

from workflow_scripts.files import read_json

TEXT = ["SELECT name FROM kiln WHERE maker = 'x'", "question: which kilns are there? tables"]


def model_files(folder: Path) -> dict[str, bytes]:
    """What `main` lists: configuration, weights as pytorch_model.bin, and the tokenizer's files.

    The tokenizer is trained on the spot: T5's special tokens, and none for braces and backticks.
    """
    model = io.BytesIO()
    known = string.ascii_letters + string.digits + ".,:;?'()[]>=+-*/%_\""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 50 + [letter * 2 for letter in known]),
        model_writer=model,
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
        **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    )
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    special |= {"additional_special_tokens": [f"<extra_id_{number}>" for number in range(100)]}
    own = {"tokenizer_class": "T5Tokenizer", "extra_ids": 100, "model_max_length": 512}
    config = T5Config(
        vocab_size=320, architectures=["T5ForConditionalGeneration"], **tiny_model.SHAPE
    )
    config.save_pretrained(folder)
    older = {"_name_or_path": "t5-small", "torch_dtype": "float32", "n_positions": 512}
    torch.manual_seed(1)
    torch.save(T5ForConditionalGeneration(config).state_dict(), folder / "pytorch_model.bin")
    return {
        "config.json": json.dumps(read_json(folder / "config.json") | older).encode(),
        "pytorch_model.bin": (folder / "pytorch_model.bin").read_bytes(),
        "spiece.model": model.getvalue(),
        "special_tokens_map.json": json.dumps(special).encode(),
        "tokenizer_config.json": json.dumps(own | special).encode(),
    }
