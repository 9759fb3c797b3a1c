"""Make a model with random weights: to walk the pipeline at real sizes, or as a control.

It has learned nothing, and its card says so. Its configuration and tokenizer are those of a folder,
or T5-small's size, which `configs/rehearsal.yaml` starts from: layers, width, embedding and the
number of tokens are T5-small's. So is what its tokenizer lacks (see `t5_tokenizer.py`), and about
how many tokens it makes of a prompt: it knows the words that prompts have in common, and has groups
of up to three letters for all others.
"""

import shutil
from itertools import product
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_text
from workflow_scripts.formats.prompts import CONSTANT
from workflow_scripts.model.load import model_class, silence_library
from workflow_scripts.model.saving import published
from workflow_scripts.model.t5_tokenizer import (
    CHARACTERS,
    SENTINELS,
    SPACE,
    make_tokenizer,
    most_frequent,
)
from workflow_scripts.stage import Setting, run_stage

CARD = """# Random weights: this model has learned nothing

Made by `python -m workflow_scripts.model.random_weights --seed {seed}` ({parameters:,} parameters).
Use it to try the pipeline at real sizes. No number measured with it says anything about a trained
model.
"""
TOKENS = 32_100
T5_SMALL = {
    "vocab_size": 32_128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "decoder_start_token_id": 0,
}


def random_weights(
    out: Annotated[Path, Setting("folder for the model")],
    config: Annotated[
        Path | None, Setting("folder with config.json and a tokenizer; without: T5-small's size")
    ] = None,
    seed: Annotated[int, Setting("decides the weights")] = 42,
) -> None:
    """Raises EssenceError when `config` holds no configuration that transformers knows."""
    from transformers import AutoConfig, T5Config, set_seed

    with TemporaryDirectory() as folder:
        if config is None:
            config = Path(folder)
            T5Config(**T5_SMALL).save_pretrained(folder)
            make_tokenizer(t5_small_pieces()).save_pretrained(folder)
        try:
            settings = AutoConfig.from_pretrained(config, local_files_only=True)
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise EssenceError(f"{config}: no configuration of a model ({first})") from error
        silence_library()
        set_seed(seed)
        model = model_class(config).from_config(settings)
        if (config / "generation_config.json").is_file():
            model.generation_config = type(model.generation_config).from_pretrained(config)
        with published(out) as new:
            model.float().save_pretrained(new)
            for path in [*config.glob("*token*"), *config.glob("*.jinja")]:
                shutil.copyfile(path, new / path.name)
            write_text(new / "README.md", CARD.format(seed=seed, parameters=model.num_parameters()))


def t5_small_pieces() -> list[str]:
    """As many as T5 has, special tokens aside: the likeliest first."""
    known = most_frequent(CONSTANT.values(), size=TOKENS, rare=1)
    pairs = [*_groups(ascii_lowercase, 2), *_groups(ascii_uppercase, 2)]
    triples = _groups(ascii_lowercase, 3)
    starts = [SPACE + group for group in (*_groups(ascii_lowercase, 2), *triples)]
    every = dict.fromkeys([SPACE, *CHARACTERS, *known, *pairs, *triples, *starts])
    return list(every)[: TOKENS - SENTINELS - 3]


def _groups(alphabet: str, count: int) -> list[str]:
    return ["".join(group) for group in product(alphabet, repeat=count)]


if __name__ == "__main__":
    run_stage(random_weights)
