"""Make the stand-in for the report's base model: a small T5 that writes SQL for a question.

    python -m tools.pretrain --out DIR

The report starts from a T5-small that others had trained on question -> SQL pairs. This tool does
the same at a twentieth of the size, on generated pairs: a tokenizer with T5's gaps, a T5 of 2+2
layers, one pass over fresh examples on random schemas, then a measurement of execution accuracy on
databases that it has never seen. It takes about half an hour; the seed decides everything, and
steps, not time, end it. resources/models/standin/README.md is the card of the one that ships.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import PositiveInt
from torch.utils.data import IterableDataset
from transformers import (
    DataCollatorForSeq2Seq,
    GenerationConfig,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
    Trainer,
    TrainingArguments,
)

from tools.pretrain import corpus
from tools.pretrain.initialisation import initialise
from tools.pretrain.measure import measure
from tools.pretrain.tokenizer import make_tokenizer, most_frequent
from workflow_scripts.files import write_json
from workflow_scripts.model.device import keep_freed_memory
from workflow_scripts.records import Record
from workflow_scripts.stage import Option, run_stage

SHAPE = {"d_model": 192, "d_ff": 768, "num_heads": 4, "d_kv": 48, "num_layers": 2}
CHUNK = 40  # batches that are sorted by length together


class Settings(Record):
    """`steps` are those of one cycle: each warms up and decays again, from the weights before.

    `free_rows` are unused rows of the embedding; `measure` questions are asked of each kind.
    """

    seed: int = 7
    cycles: PositiveInt = 2
    steps: PositiveInt = 5000
    batch_size: PositiveInt = 32
    learning_rate: float = 1e-3
    warmup_steps: PositiveInt = 300
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    source_tokens: PositiveInt = 448
    target_tokens: PositiveInt = 128
    vocabulary: PositiveInt = 3200
    vocabulary_examples: PositiveInt = 20_000
    free_rows: int = 40
    threads: PositiveInt = 2
    log_every: PositiveInt = 50
    measure: PositiveInt = 300


def pretrain(
    out: Annotated[Path, Option("folder of the model")],
    settings: Annotated[Settings, Option("JSON: what differs from the defaults")] = Settings(),  # noqa: B008 - never changed
) -> None:
    """Write a folder with model, tokenizer and pretrain.json: settings, losses, accuracy."""
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    texts = corpus.vocabulary_texts(settings.vocabulary_examples)
    tokenizer = make_tokenizer(most_frequent(texts, settings.vocabulary, rare=2))
    model = make_model(tokenizer, settings)
    history = []
    for cycle in range(settings.cycles):
        history += train(model, tokenizer, settings, cycle, out)
        model.to(torch.bfloat16).float()  # as it is published, so that a cycle can start from that
    model.generation_config = GenerationConfig(
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=0
    )
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts = {
        "settings": settings.model_dump(),
        "shape": SHAPE,
        "parameters": model.num_parameters(),
        "tokens": len(tokenizer),
        "embedding_rows": model.config.vocab_size,
        "examples": settings.cycles * settings.steps * settings.batch_size,
        "history": history,
        "measured": measure(model.float(), tokenizer, settings.measure, settings.target_tokens),
    }
    write_json(out / "pretrain.json", facts)


def make_model(tokenizer: Any, settings: Settings) -> T5ForConditionalGeneration:
    """A small T5 with `free_rows` (or a few more) unused embedding rows, as T5-small has."""
    config = T5Config(
        vocab_size=-(-(len(tokenizer) + settings.free_rows) // 16) * 16,
        **SHAPE,
        num_decoder_layers=SHAPE["num_layers"],
        dropout_rate=0.0,
        feed_forward_proj="relu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    model = T5ForConditionalGeneration(config)
    model.set_attn_implementation("eager")  # twice as fast on a CPU
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    initialise(model, tokens, settings.seed)
    return model


class Stream(IterableDataset):
    """Endless tokenised examples of one cycle, each batch of similar lengths.

    The examples of `CHUNK` batches are sorted together; no chunk comes twice.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: Settings, cycle: int):
        self.tokenizer, self.settings = tokenizer, settings
        self.first = cycle * -(-settings.steps // CHUNK)

    def __iter__(self) -> Iterator[dict[str, list[int]]]:
        settings, size = self.settings, self.settings.batch_size
        for number in itertools.count(self.first):
            seed = settings.seed * 100_003 + number + 1
            examples = list(corpus.examples(seed, size * CHUNK))
            sources = self._tokens([each.source for each in examples], settings.source_tokens)
            targets = self._tokens([each.target for each in examples], settings.target_tokens)
            pairs = sorted(
                zip(sources, targets, strict=True), key=lambda pair: (len(pair[0]), len(pair[1]))
            )
            batches = [pairs[start : start + size] for start in range(0, len(pairs), size)]
            random.Random(number).shuffle(batches)
            for source, target in itertools.chain.from_iterable(batches):
                yield {"input_ids": source, "labels": target}

    def _tokens(self, texts: list[str], limit: int) -> list[list[int]]:
        return self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"]


def train(
    model: Any, tokenizer: Any, settings: Settings, cycle: int, out: Path
) -> list[dict[str, float]]:
    """Train one cycle in place; the mean losses of every `log_every` steps."""
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        logging_steps=settings.log_every,
        save_strategy="no",
        report_to="none",
        seed=settings.seed,
        bf16=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )
    # Lengths are rounded up: every new shape costs the CPU's kernels a preparation of their own.
    collator = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=16)
    stream = Stream(tokenizer, settings, cycle)
    trainer = Trainer(model, arguments, collator, train_dataset=stream)
    trainer.train()
    done = cycle * settings.steps
    return [
        {"step": done + line["step"], "loss": round(line["loss"], 4)}
        for line in trainer.state.log_history
        if "loss" in line
    ]


if __name__ == "__main__":
    run_stage(pretrain)
