"""Make a model with random weights: to walk the pipeline at real sizes, or as a control.

It has learned nothing, and its card says so. Configuration and tokenizer are those of a folder.
"""

import shutil
from pathlib import Path
from typing import Annotated

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_text
from workflow_scripts.model.load import model_class, silence_library
from workflow_scripts.model.saving import published
from workflow_scripts.stage import Setting, run_stage

CARD = """# Random weights: this model has learned nothing

Made by `python -m workflow_scripts.model.random_weights --seed {seed}` ({parameters:,} parameters).
Use it to try the pipeline at real sizes. No number measured with it says anything about a trained
model.
"""


def random_weights(
    out: Annotated[Path, Setting("folder for the model")],
    config: Annotated[Path, Setting("folder with config.json and a tokenizer")],
    seed: Annotated[int, Setting("decides the weights")] = 42,
) -> None:
    """Raises EssenceError when `config` holds no configuration that transformers knows."""
    from transformers import AutoConfig, set_seed

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


if __name__ == "__main__":
    run_stage(random_weights)
