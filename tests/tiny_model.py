"""A T5 and a Llama of a few thousand weights, and rows of a few words.

The T5's tokenizer knows whole words, the Llama's knows bytes.
"""

import random
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from material import ROOT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.settings import ModelSettings, Recipe, RunSettings, Settings, TrainingSettings
from workflow_scripts.tables import ROWS, write_table

WORDS = 40
SHAPE = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
SHAPE |= {"dropout_rate": 0.1, "decoder_start_token_id": 0}


def make_base(folder: Path) -> Path:
    """A T5 with dropout."""
    tokens = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{f"▁w{n}": n + 3 for n in range(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    transformers.T5ForConditionalGeneration(
        transformers.T5Config(vocab_size=WORDS + 8, **SHAPE)
    ).save_pretrained(folder)
    return folder


def byte_tokenizer(**special: Any) -> transformers.PreTrainedTokenizerFast:
    """A token for each byte, after those of `special`: nothing is lost, and nothing is added."""
    tokens = [*special.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


CHAT = (
    "{% for turn in messages %}<s>{{ turn.role }}: {{ turn.content }}"
    "{% if turn.role == 'assistant' %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
LLAMA = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
LLAMA |= {"num_attention_heads": 2, "max_position_embeddings": 160}


def make_causal_base(folder: Path, chat_template: str | None = None) -> Path:
    """A Llama; with a chat template, or with a start token before each text."""
    tokenizer = byte_tokenizer(bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = chat_template
    if not chat_template:
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    tokenizer.save_pretrained(folder)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(1)
    transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=len(tokenizer), **LLAMA, **ends)
    ).save_pretrained(folder)
    return folder


def make_rows(path: Path, count: int, seed: int) -> None:
    generator = random.Random(seed)

    def words(least: int, most: int) -> str:
        count = generator.randint(least, most)
        return " ".join(f"w{generator.randrange(WORDS)}" for _ in range(count))

    rows = [
        {
            **{"idx": seed * 1000 + place, "line": place + 1, "task": TASKS[place % 3]},
            **{"question": f"question {place}", "schema": "", "how": "none", "candidates": []},
            **{"source": words(3, 12), "target": words(2, 9)},
        }
        for place in range(count)
    ]
    write_table(path, rows, ROWS)


TEXT = {"prompt": "full", "tokenizer": "stock", "padding_in_loss": False}
LENGTHS = {"source_tokens": 8, "target_tokens": 6, "generate_tokens": 5}
RECIPE = Recipe(name="as_written", **TEXT, **LENGTHS)
SAMPLE = {"experiment": 1, "sampling": "natural", "rows": 18}
STEPS = {"batch_size": 4, "learning_rate": 1e-2, "epochs": 3, "patience": 2}
RUN = RunSettings(name="tiny", **SAMPLE, **STEPS)
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
OWN = {"learning_rate_scale": 1.0, "eval_batch_size": 4, "log_every": 2}
TRAINING = TrainingSettings(**CONFIG["training"] | OWN)


def settings(
    recipe: dict[str, Any] | None = None,
    run: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    seed: int = 42,
    model: ModelSettings | None = None,
) -> Settings:
    """Settings of a run that takes a second; the arguments replace single values."""
    return Settings(
        recipe=RECIPE.model_copy(update=recipe),
        run=RUN.model_copy(update=run),
        training=TRAINING.model_copy(update=training),
        seed=seed,
        device="cpu",
        precision="fp32",
        model=model or ModelSettings(),
    )


def arguments(folder: Path, tiny: Path, chosen: Settings, base: str = "base") -> dict[str, Any]:
    """What a training in `folder` is called with, from a base and the rows in `tiny`."""
    return {
        "settings": chosen,
        "base": tiny / base,
        "train": tiny / "train.parquet",
        "val": tiny / "val.parquet",
        "out": folder / "out",
        "work": folder / "work",
    }


def make_all(folder: Path) -> Path:
    make_base(folder / "base")
    make_causal_base(folder / "llama")
    make_causal_base(folder / "chat", CHAT)
    make_rows(folder / "train.parquet", 18, 1)
    make_rows(folder / "val.parquet", 9, 2)
    return folder


def contents(out: Path) -> dict[str, bytes]:
    """What a run publishes that must be the same to the byte whenever it is trained again."""
    files = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    return {name: files[name].read_bytes() for name in files if name != "provenance.json"}
