"""LoRA: adapters of low rank are trained, the base model stays as it is; both are published as one.

Checkpoints hold the adapters alone. While they are trained, the base model is held in the precision
that is computed in.
"""

import shutil
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, write_json
from workflow_scripts.model import say
from workflow_scripts.model.load import initial_model, load_model
from workflow_scripts.runs import DeviceFacts
from workflow_scripts.settings import Lora, Settings
from workflow_scripts.text.preprocessing import ModelInput

ADAPTERS = "adapter_config.json"  # a checkpoint with this file holds adapters
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def model_to_train(base: Path, tokenizer: Any, settings: Settings, device: DeviceFacts) -> Any:
    """The model of `base` as a training starts with it: all of it, or adapters on it."""
    if settings.model.lora is None:
        return initial_model(base, tokenizer, settings.seed)
    dtype = "bfloat16" if device.precision == "bf16" else "float32"
    return with_adapters(load_model(base, dtype), settings.model.lora, settings.seed)


def with_adapters(model: Any, lora: Lora, seed: int) -> Any:
    """Adapters (float32) on a model; at first they change nothing.

    Raises EssenceError when the model has no layers of the names given.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)  # the adapters' first weights
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets or "all-linear",
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise EssenceError(f"model.lora.targets: {error}") from error
    say(f"training {_adapter_weights(adapted):,} weights of adapters")
    return adapted


def trained_model(base: Path, checkpoint: Path, reads: ModelInput) -> tuple[Any, int | None]:
    """The model of a checkpoint in float32, and how many weights its adapters have.

    Adapters are merged into the weights of `base`; None: it has none, and all weights were trained.
    """
    adapters = None
    if (checkpoint / ADAPTERS).is_file():
        from peft import PeftModel

        adapted = PeftModel.from_pretrained(load_model(base), checkpoint)
        adapters = _adapter_weights(adapted)
        model = adapted.merge_and_unload()
    else:
        model = load_model(checkpoint)
    if not model.config.is_encoder_decoder:
        # What its training answers end in; chat models have several end tokens.
        model.generation_config.update(eos_token_id=reads.end, pad_token_id=reads.pad)
    return model, adapters


def keep_adapters(checkpoint: Path, folder: Path) -> None:
    """Copy the adapters of a checkpoint, whose library lists its targets in no certain order."""
    config = read_json(checkpoint / ADAPTERS)
    write_json(folder / ADAPTERS, config | {"target_modules": sorted(config["target_modules"])})
    shutil.copyfile(checkpoint / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS)


def _adapter_weights(model: Any) -> int:
    return sum(each.numel() for name, each in model.named_parameters() if "lora_" in name)
