"""Token ids of whole prompts, whose constant part (worked examples, mostly) is encoded once.

A prompt is cut before the line end that its own sections follow. Where words are encoded one by
one, the tokens of the two parts are those of the whole. The first row with a constant part is
encoded both ways; where that makes a difference, all rows with it are encoded whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Encoding, Tokenizer, pre_tokenizers

from workflow_scripts.formats.prompts import sections


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens, without special ones."""

    constant: Encoding | None  # of the first `cut` characters
    own: Encoding
    cut: int = 0

    def __len__(self) -> int:
        return len(self.constant or ()) + len(self.own)

    def ids(self, count: int) -> list[int]:
        """The first `count` ids."""
        before = self.constant.ids[:count] if self.constant else []
        return before + self.own.ids[: count - len(before)]

    def end(self, place: int) -> int:
        """The character at which the token at a place ends."""
        before = len(self.constant or ())
        if place < before:
            return self.constant.token_to_chars(place)[1]
        return self.cut + self.own.token_to_chars(place - before)[1]


class SourceEncoder:
    """Encodes sources with one tokenizer; `parts` says that they are whole prompts."""

    def __init__(self, tokenizer: Tokenizer, parts: bool = True):
        self.tokenizer = tokenizer
        self._in_parts = parts and encodes_words_alone(tokenizer)
        self._constants: dict[str, Encoding | None] = {}  # None: the parts differ from the whole

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        cuts = [self._cut(text) for text in texts]
        own = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
        encoded = self.tokenizer.encode_batch(own, add_special_tokens=False)
        return [
            Tokens(self._constants[text[:cut]] if cut else None, encoding, cut)
            for text, cut, encoding in zip(texts, cuts, encoded, strict=True)
        ]

    def _cut(self, text: str) -> int:
        if not self._in_parts:
            return 0
        constant = text[: sections(text)["own"][0]].rstrip()
        cut = len(constant)
        if constant not in self._constants:
            self._constants[constant] = self._checked(text, cut)
        return cut if self._constants[constant] else 0

    def _checked(self, text: str, cut: int) -> Encoding | None:
        parts = (text, text[:cut], text[cut:])
        whole, constant, own = self.tokenizer.encode_batch(parts, add_special_tokens=False)
        offsets = constant.offsets + [(cut + start, cut + end) for start, end in own.offsets]
        same = whole.ids == constant.ids + own.ids and whole.offsets == offsets
        return constant if same else None


def encodes_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether words that white space separates are encoded one by one, as T5 does."""
    steps = tokenizer.pre_tokenizer
    steps = list(steps) if isinstance(steps, pre_tokenizers.Sequence) else [steps]
    return any(
        isinstance(step, pre_tokenizers.WhitespaceSplit)
        or (
            isinstance(step, pre_tokenizers.Metaspace)
            and step.split
            and step.prepend_scheme == "always"
        )
        for step in steps
    )
