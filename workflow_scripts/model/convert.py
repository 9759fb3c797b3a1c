"""Make a model folder of what transformers can read in another form.

    python -m workflow_scripts.model.convert --model SmolLM2-135M.gguf --out models/smollm2

Reads a GGUF file, or a folder with weights in parts or as pytorch_model.bin, or with a tokenizer
that has no tokenizer.json. Writes the five files that a model of this project consists of.
"""

from pathlib import Path
from typing import Annotated, Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from workflow_scripts.errors import EssenceError, one_line
from workflow_scripts.model.load import check_complete, silence_library
from workflow_scripts.model.saving import published, save_model
from workflow_scripts.stage import Setting, run_stage


def convert(
    model: Annotated[Path, Setting("GGUF file, or folder of a model")],
    out: Annotated[Path, Setting("folder for the files")],
) -> None:
    """Raises EssenceError when transformers cannot read the model or its tokenizer."""
    if not model.exists():
        raise EssenceError(f"{model}: no such file or folder.")
    weights, tokenizer = read_model(model)
    with published(out) as stage:
        facts = save_model(weights, tokenizer, stage)
    print(f"{out}: {facts.parameters:,} parameters, sha256 {facts.sha256}", flush=True)


def read_model(model: Path) -> tuple[Any, Any]:
    """The model and its fast tokenizer, to be saved in the form of this project.

    Raises EssenceError when transformers cannot read them.
    """
    silence_library()
    folder, options = model, {"local_files_only": True}
    if model.is_file():
        folder, options["gguf_file"] = model.parent, model.name
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    try:
        config = AutoConfig.from_pretrained(folder, **options)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        weights, report = kind.from_pretrained(
            folder, dtype="auto", output_loading_info=True, **options
        )
    except Exception as error:  # foreign files raise errors of many kinds
        raise EssenceError(
            f"{model}: transformers cannot read it ({one_line(error)}). A GGUF file needs the "
            "package gguf."
        ) from error
    check_complete(model, report)
    if quantizer := getattr(weights, "hf_quantizer", None):  # GGUF: the weights no longer are
        quantizer.remove_quantization_config(weights)
    return weights, with_tokenizer_json(tokenizer)


def with_tokenizer_json(tokenizer: Any) -> Any:
    """The tokenizer in its fast form. Raises EssenceError when it has none."""
    if tokenizer.is_fast:
        return tokenizer
    if type(tokenizer).__name__ == "ByT5Tokenizer":
        return fast_byt5(tokenizer)
    raise EssenceError(
        f"a {type(tokenizer).__name__} has no fast form, which the fit audit and the lengths of "
        "recipes need. Use another model."
    )


def fast_byt5(tokenizer: Any) -> Any:
    """ByT5's tokenizer, which the library has in Python only: a token for each byte of UTF-8."""
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = bytes_to_unicode()  # byte -> the character that stands for it in a vocabulary
    ids = {letters[byte]: byte + tokenizer.offset for byte in range(256)}
    special = {name: getattr(tokenizer, name) for name in ("pad_token", "eos_token", "unk_token")}
    ids |= {token: tokenizer.convert_tokens_to_ids(token) for token in special.values()}
    backend = Tokenizer(models.BPE(ids, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    end = special["eos_token"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, ids[end])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


if __name__ == "__main__":
    run_stage(convert)
