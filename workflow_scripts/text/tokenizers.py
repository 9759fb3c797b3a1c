"""The model's own tokenizer, or a lossless version of it.

A T5 vocabulary has no newline, braces, back quote, `<` and more, and its normalizer collapses
white space: a JSON or SQL answer cannot be written with it. `lossless` adds the missing tokens and
removes the steps that drop spaces, so that decode(encode(text)) is the text, to the byte. (Loaded
as a `T5Tokenizer`, the stock pre-tokenizer would silently be back.)
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from workflow_scripts.errors import EssenceError

# Tokens that are added where the tokenizer cannot write them, each with the most similar token of a
# T5 vocabulary, whose embedding initialises the new one (None: the mean embedding does).
_ADDED_TOKENS = {
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
_NO_LIMIT = 10**9  # the recipe sets the lengths; the tokenizer's own limit would only warn


def load_tokenizer(
    model_dir: Path | str, kind: str, targets: Iterable[str] = ()
) -> PreTrainedTokenizerFast:
    """Load the tokenizer in `model_dir` (tokenizer.json), `kind` being stock or lossless.

    Lossless also adds, in the order of their code points, the characters that `targets` need and
    that the vocabulary lacks or folds; so the same targets give the same ids. A folder in which a
    lossless tokenizer was saved gives it back for either kind. Raises EssenceError when the folder
    holds no fast tokenizer.
    """
    stock = _load(Path(model_dir))
    if kind == "stock":
        return stock
    lossless = _keeping_spaces(stock)
    characters = sorted({character for target in targets for character in target})
    for tokens in (_ADDED_TOKENS, characters):
        # Inside a word, where no step strips a character, it survives or does not.
        added = [t for t in tokens if not round_trips(lossless, f"a{t.strip(' ')[:1] or t}a")]
        # normalized=False: found in the raw text, before anything could fold or split them.
        lossless.add_tokens([AddedToken(token, normalized=False) for token in added])
    return lossless


def decode(tokenizer: PreTrainedTokenizerFast, ids: Iterable[int]) -> str:
    """Decode generated ids or a label, without special tokens and otherwise unchanged."""
    return tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)


def round_trips(tokenizer: PreTrainedTokenizerFast, text: str) -> bool:
    """Check whether decode(encode(text)) is the text, to the byte."""
    return decode(tokenizer, tokenizer.encode(text)) == text


def embedding_rows_needed(tokenizer: PreTrainedTokenizerFast) -> int:
    """Return the highest token id plus one: a smaller embedding must be resized."""
    return max(tokenizer.get_vocab().values()) + 1


def added_tokens(
    model_dir: Path | str, tokenizer: PreTrainedTokenizerFast
) -> dict[int, int | None]:
    """List ids of tokens that `tokenizer` adds to the one in `model_dir`, in ascending order.

    Each with the id of the token whose embedding initialises it; None: the mean embedding does.
    """
    known = _load(Path(model_dir)).get_vocab()
    return {
        number: known.get(_ADDED_TOKENS.get(token))
        for token, number in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if token not in known
    }


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


def _keeping_spaces(stock: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same tokenizer without the steps that drop spaces; a byte-level one has none."""
    backend = Tokenizer.from_str(stock.backend_tokenizer.to_str())
    if any(isinstance(step, pre_tokenizers.Metaspace) for step in _steps(backend.pre_tokenizer)):
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
        dropping = normalizers.Strip | normalizers.Replace
        kept = [step for step in _steps(backend.normalizer) if not isinstance(step, dropping)]
        backend.normalizer = normalizers.Sequence(kept)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=_NO_LIMIT,
        clean_up_tokenization_spaces=False,
        **stock.special_tokens_map,
    )


def _steps(step: Any) -> list[Any]:
    """The steps of a normalizer or a pre-tokenizer, which may be none, one or a sequence."""
    if isinstance(step, normalizers.Sequence | pre_tokenizers.Sequence):
        return list(step)
    return [] if step is None else [step]
