"""Make the stand-in for the report's base model: a small T5 that writes SQL for a question.

The report starts from a T5-small that others had trained on question -> SQL pairs. This stage
does the same at a fiftieth of the size, on generated pairs: a tokenizer with T5's gaps, a T5 of
2+2 layers, one pass over fresh examples on random schemas, then a measurement of execution
accuracy on databases that it has never seen. The seed decides everything; steps, not time, end
it.

    python -m workflow_scripts.model.pretrain --out models/standin --settings '{"seed": 7}'
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import GenerationConfig, T5Config, T5ForConditionalGeneration

from workflow_scripts.data.twin import corpus
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_json, write_text
from workflow_scripts.formats import constants
from workflow_scripts.model import (
    standin_card,
    standin_measure,
    standin_start,
    standin_tokenizer,
)

SETTINGS = {
    "seed": 7,
    "steps": 6000,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "warmup_steps": 300,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "source_tokens": 256,
    "target_tokens": 128,
    "vocabulary": 3200,
    "vocabulary_examples": 20_000,
    "free_rows": 40,
    "threads": 2,
    "log_every": 50,
    "measure": 300,
}
SHAPE = {"d_model": 192, "d_ff": 768, "num_heads": 4, "d_kv": 48, "num_layers": 2}
CHUNK = 40  # batches that are sorted by length together


def read_settings(given: dict) -> dict:
    """The defaults with `given` over them; raises EssenceError for a key that doesn't exist."""
    unknown = sorted(set(given) - set(SETTINGS))
    if unknown:
        raise EssenceError(
            f"pretrain settings: unknown key {unknown[0]!r}; known are {', '.join(SETTINGS)}"
        )
    return SETTINGS | given


def vocabulary_texts(examples: int) -> Iterator[str]:
    """What the tokenizer's pieces come from: the corpus and the words of the agents' prompts.

    Words that the prompts repeat become whole pieces and the others are spelled out, as T5 splits
    rare words: the constant parts are then about as long as in T5's tokens (the Refiner's needs
    all of its words for that), and truncation at 512 cuts the rows where it cuts the real ones.
    """
    yield from corpus.vocabulary_texts(examples)
    for _ in range(2):
        yield from (constants.SELECTOR, constants.DECOMPOSER, constants.DECOMPOSER_CLOSING)
    for _ in range(3):
        yield from (constants.REFINER, constants.REFINER_CLOSING)


def make_model(vocabulary: int, free_rows: int) -> T5ForConditionalGeneration:
    """A small T5 with `free_rows` (or a few more) unused embedding rows, as T5-small has."""
    rows = -(-(vocabulary + free_rows) // 16) * 16
    config = T5Config(
        vocab_size=rows,
        **SHAPE,
        num_decoder_layers=SHAPE["num_layers"],
        dropout_rate=0.0,
        feed_forward_proj="relu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    return T5ForConditionalGeneration(config)


def chunk_of(settings: dict, number: int) -> Iterator[corpus.Example]:
    """The examples of one stretch of the training; the same settings give the same ones."""
    count = settings["batch_size"] * CHUNK
    return corpus.examples(settings["seed"] * 100_003 + number + 1, count)


def batches(tokenizer, settings: dict) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches of like lengths: input_ids, attention_mask, labels (-100 = padding)."""
    size = settings["batch_size"]
    for chunk in itertools.count():
        pairs = [(e.source, e.target) for e in chunk_of(settings, chunk)]
        sources = tokenizer(
            [p[0] for p in pairs], truncation=True, max_length=settings["source_tokens"]
        )
        targets = tokenizer(
            [p[1] for p in pairs], truncation=True, max_length=settings["target_tokens"]
        )
        both = list(zip(sources["input_ids"], targets["input_ids"], strict=True))
        both.sort(key=lambda pair: (len(pair[0]), len(pair[1])))
        order = list(range(CHUNK))
        random.Random(chunk).shuffle(order)
        for place in order:
            yield _tensors(both[place * size : (place + 1) * size])


def _tensors(pairs: list[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    # Rounded up: every new shape costs the CPU's kernels a preparation of their own.
    width = -(-max(len(s) for s, _ in pairs) // 16) * 16
    height = -(-max(len(t) for _, t in pairs) // 8) * 8
    sources = torch.tensor([s + [0] * (width - len(s)) for s, _ in pairs])
    labels = torch.tensor([t + [-100] * (height - len(t)) for _, t in pairs])
    return {"input_ids": sources, "attention_mask": (sources != 0).long(), "labels": labels}


def train(model, tokenizer, settings: dict, log=print) -> list[dict]:
    """Train in place; gives [{"step", "loss"}], the loss being the mean per target token."""
    steps, warmup = settings["steps"], settings["warmup_steps"]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings["learning_rate"], weight_decay=settings["weight_decay"]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warmup, max(0.0, (steps - n) / max(1, steps - warmup)))
    )
    history, total, began = [], 0.0, time.monotonic()
    model.train()
    for step, batch in enumerate(itertools.islice(batches(tokenizer, settings), steps), 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        total += loss.item()
        if step % settings["log_every"] == 0 or step == steps:
            count = step - (history[-1]["step"] if history else 0)
            history.append({"step": step, "loss": round(total / count, 4)})
            left = (time.monotonic() - began) / step * (steps - step)
            log(f"step {step}/{steps}  loss {total / count:.4f}  ETA {left / 60:.1f} min")
            total = 0.0
    return history


def save(model, tokenizer, folder: Path) -> None:
    """Write model (bf16) and tokenizer as transformers' `from_pretrained` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=0
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    standin_tokenizer.save_tokenizer(tokenizer, folder)


def pretrain(folder: Path, settings: dict, log=print) -> dict:
    """Tokenizer, training, measurement, card; gives what `pretrain.json` holds."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    began = time.monotonic()
    texts = vocabulary_texts(settings["vocabulary_examples"])
    pieces = standin_tokenizer.gather_pieces(texts, settings["vocabulary"], 2)
    plain = standin_tokenizer.make_tokenizer(pieces)
    tokenizer = standin_tokenizer.save_tokenizer(plain, folder)
    model = make_model(len(tokenizer), settings["free_rows"])
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    standin_start.start(model, tokens, settings["seed"])
    history = train(model, tokenizer, settings, log)
    seconds = round(time.monotonic() - began, 1)
    save(model, plain, folder)
    model.float().eval()
    facts = {
        "settings": settings,
        "shape": SHAPE,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": len(tokenizer),
        "embedding_rows": model.config.vocab_size,
        "examples": settings["steps"] * settings["batch_size"],
        "history": history,
        "measured": standin_measure.measure(model, tokenizer, settings),
    }
    write_json(folder / "pretrain.json", facts)
    write_text(folder / "README.md", standin_card.card(facts))
    log(f"trained in {seconds / 60:.1f} min; measured: {json.dumps(facts['measured'])}")
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument("--settings", type=json.loads, default={}, help="JSON over the defaults")
    arguments = parser.parse_args()
    pretrain(arguments.out, read_settings(arguments.settings), log=lambda x: print(x, flush=True))


if __name__ == "__main__":
    run_cli(main)
