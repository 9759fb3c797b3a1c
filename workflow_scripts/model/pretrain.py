"""Make the stand-in for the report's base model: a small T5 that writes SQL for a question.

The report starts from a T5-small that others had trained on question -> SQL pairs. This stage
does the same at a fiftieth of the size, on generated pairs: a tokenizer with T5's gaps, a T5 of
2+2 layers, one pass over fresh examples on random schemas, then a measurement of execution
accuracy on databases that it has never seen. The seed decides everything; steps, not time, end
it.

    python -m workflow_scripts.model.pretrain --out models/standin --settings '{"seed": 7}'
"""

import itertools
import time
from pathlib import Path
from typing import Annotated, Any

import torch
from transformers import GenerationConfig, T5Config, T5ForConditionalGeneration

from workflow_scripts.artifacts.pretraining import MeanLoss, Pretraining, PretrainingSettings
from workflow_scripts.files import write_text
from workflow_scripts.model.device import keep_freed_memory
from workflow_scripts.model.progress import say, time_left
from workflow_scripts.model.standin.batches import CHUNK, batches, vocabulary_texts
from workflow_scripts.model.standin.card import card
from workflow_scripts.model.standin.initialisation import initialise
from workflow_scripts.model.standin.measure import measure
from workflow_scripts.model.standin.tokenizer import make_tokenizer, most_frequent, save_tokenizer
from workflow_scripts.stage import Setting, run_stage

SHAPE = {"d_model": 192, "d_ff": 768, "num_heads": 4, "d_kv": 48, "num_layers": 2}


def pretrain(
    out: Annotated[Path, Setting("folder of the model")],
    settings: Annotated[
        PretrainingSettings, Setting("JSON: what differs from the defaults")
    ] = PretrainingSettings(),  # noqa: B008 - never changed
) -> None:
    """Tokenizer, training, measurement, card."""
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    torch.manual_seed(settings.seed)
    tokens = most_frequent(vocabulary_texts(settings.vocabulary_examples), settings.vocabulary, 2)
    plain = make_tokenizer(tokens)
    tokenizer = save_tokenizer(plain, out)
    model = make_model(len(tokenizer), settings.free_rows)
    by_id = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    initialise(model, by_id, settings.seed)
    history = []
    for cycle in range(settings.cycles):
        history += train(model, tokenizer, settings, cycle)
        model.to(torch.bfloat16).float()  # as it is published, so that a cycle can start from that
    model.generation_config = GenerationConfig(
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=0
    )
    model.to(torch.bfloat16).save_pretrained(out)
    save_tokenizer(plain, out)
    model.float().eval()
    facts = Pretraining(
        settings=settings,
        shape=SHAPE,
        parameters=sum(p.numel() for p in model.parameters()),
        tokens=len(tokenizer),
        embedding_rows=model.config.vocab_size,
        examples=settings.cycles * settings.steps * settings.batch_size,
        history=history,
        measured=measure(model, tokenizer, settings),
    )
    facts.write(out / "pretrain.json")
    write_text(out / "README.md", card(facts))
    say(f"measured: {facts.measured.model_dump_json()}")


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
    model = T5ForConditionalGeneration(config)
    model.set_attn_implementation("eager")  # twice as fast here
    return model


def train(model: Any, tokenizer: Any, settings: PretrainingSettings, cycle: int) -> list[MeanLoss]:
    """Train one cycle in place, with linear warm-up and linear decay of the learning rate."""
    steps, warmup = settings.steps, settings.warmup_steps
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warmup, max(0.0, (steps - n) / max(1, steps - warmup)))
    )
    history: list[MeanLoss] = []
    losses, started = [], time.monotonic()
    model.train()
    chunks = -(-steps // CHUNK)
    fresh = itertools.islice(batches(tokenizer, settings, cycle * chunks), steps)
    for step, batch in enumerate(fresh, 1):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
        if step % settings.log_every == 0 or step == steps:
            history.append(
                MeanLoss(step=cycle * steps + step, loss=round(sum(losses) / len(losses), 4))
            )
            losses = []
            eta = time_left(started, step, steps - step)
            say(f"step {step}/{steps}, loss {history[-1].loss:.4f}, ETA {eta}")
    return history


if __name__ == "__main__":
    run_stage(pretrain)
