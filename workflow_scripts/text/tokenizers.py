"""The model's own tokenizer, or the same made lossless.

A T5 vocabulary has no newline, braces, back quote, `<` and more, and its normalizer collapses
white space: a JSON or SQL answer cannot be written with it. `lossless` adds what is missing and
takes out the steps that eat spaces, so that decode(encode(text)) is the text, to the byte.

Save with `save_pretrained` and load with this module (or `PreTrainedTokenizerFast`): a
`T5Tokenizer` would quietly bring the stock pre-tokenizer back.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json

# Added where the tokenizer can't write them, each with the piece that is most like it: there the
# new one's embedding starts (with no norm at all it would take long to be written).
_PIECES = {
    "\n": "\u2581",
    "\n\n": "\u2581",
    "`": '"',
    " `": '\u2581"',
    "```": '"',
    "{": "(",
    "}": ")",
    "<": ">",
    " <": "\u2581>",
    "<=": ">",
    " <=": "\u2581>",
    "<>": "=",
    " <>": "\u2581=",
    "\\": "/",
    "^": None,
    "~": "-",
    "\u3010": "[",
    "\u3011": "]",
}
_METASPACE = {
    "type": "Metaspace",
    "replacement": "\u2581",
    "prepend_scheme": "first",
    "split": False,
}
_SPACE_EATERS = {"Strip", "Replace"}
_NO_LIMIT = 10**9  # lengths are the recipe's to set; the tokenizer's own limit would only warn


def load_tokenizer(
    model_dir: Path | str, kind: str, targets: Iterable[str] = ()
) -> PreTrainedTokenizerFast:
    """The tokenizer in `model_dir` (tokenizer.json), stock or lossless.

    Lossless also adds, in the order of their code points, the characters that `targets` need and
    the vocabulary lacks or folds; so the same targets give the same ids. A folder that was saved
    with a lossless tokenizer gives it back whichever kind is asked for. Raises EssenceError when
    the folder holds no fast tokenizer or `kind` is unknown.
    """
    if kind not in ("stock", "lossless"):
        raise EssenceError(f"tokenizer: {kind!r} is unknown; write stock or lossless")
    stock = _load(Path(model_dir))
    if kind == "stock":
        return stock
    lossless = _without_space_eaters(stock)
    lost = [p for p in _PIECES if not _survives_inside(lossless, p.strip(" ")[0])]
    _add(lossless, lost)
    characters: set[str] = set()
    for target in targets:
        characters.update(target)
    _add(lossless, [c for c in sorted(characters) if not _survives_inside(lossless, c)])
    return lossless


def decode(tokenizer: PreTrainedTokenizerFast, ids: Iterable[int]) -> str:
    """Text of generated or label ids: special tokens dropped, nothing tidied."""
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def survives(tokenizer: PreTrainedTokenizerFast, text: str) -> bool:
    """Whether decode(encode(text)) is the text, to the byte."""
    return decode(tokenizer, tokenizer.encode(text)) == text


def rows_needed(tokenizer: PreTrainedTokenizerFast) -> int:
    """Embedding rows that the tokenizer's ids need: a model with fewer must be resized."""
    return max(tokenizer.get_vocab().values()) + 1


def new_rows(model_dir: Path | str, tokenizer: PreTrainedTokenizerFast) -> dict[int, int | None]:
    """Ids that `tokenizer` has beyond the one in `model_dir`, which the model has yet to learn.

    Each with the id of the piece that it is most like, None where there is none.
    """
    vocabulary = tokenizer.get_vocab()
    known = _load(Path(model_dir)).get_vocab()
    return {
        number: known.get(_PIECES.get(piece))
        for piece, number in sorted(vocabulary.items(), key=lambda item: item[1])
        if piece not in known
    }


def embedding_rows(model_dir: Path | str) -> int | None:
    """Embedding rows of the model in the folder (`vocab_size` of config.json), None if unsaid."""
    config = Path(model_dir) / "config.json"
    return read_json(config).get("vocab_size") if config.is_file() else None


def _load(folder: Path) -> PreTrainedTokenizerFast:
    if not (folder / "tokenizer.json").is_file():
        raise EssenceError(
            f"{folder}: no tokenizer.json. Give the folder of a model with a fast tokenizer; "
            "AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one."
        )
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises bare Exceptions of its own
        raise EssenceError(f"{folder}/tokenizer.json: cannot be read ({error})") from error
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = _NO_LIMIT
    return tokenizer


def _without_space_eaters(stock: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer with nothing that eats spaces; byte-level ones are left as they are."""
    spec = json.loads(stock.backend_tokenizer.to_str())
    if "Metaspace" in _types(spec["pre_tokenizer"]):
        spec["pre_tokenizer"] = spec["decoder"] = _METASPACE
        spec["normalizer"] = _thinned(spec["normalizer"])
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spec)),
        model_max_length=_NO_LIMIT,
        clean_up_tokenization_spaces=False,
        **stock.special_tokens_map,
    )


def _types(step: dict[str, Any] | None) -> set[str]:
    if not step:
        return set()
    inner = step.get("pretokenizers", [])
    return {step["type"]}.union(*map(_types, inner))


def _thinned(normalizer: dict[str, Any] | None) -> dict[str, Any] | None:
    if not normalizer or normalizer["type"] in _SPACE_EATERS:
        return None
    if normalizer["type"] != "Sequence":
        return normalizer
    kept = [step for step in normalizer["normalizers"] if step["type"] not in _SPACE_EATERS]
    return {"type": "Sequence", "normalizers": kept} if kept else None


def _survives_inside(tokenizer: PreTrainedTokenizerFast, character: str) -> bool:
    return survives(tokenizer, f"a{character}a")


def _add(tokenizer: PreTrainedTokenizerFast, pieces: list[str]) -> None:
    # normalized=False: found in the raw text, before anything could fold or split them.
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
