"""Token ids of whole prompts, whose constant part (worked examples, mostly) is encoded once.

A prompt is cut before the line end that its own sections follow. Where words are encoded one by
one, the tokens of the two parts are those of the whole. The first row with a constant part is
encoded both ways; where that makes a difference, all rows with it are encoded whole. Where the
constant part fills the room that there is, the row's own tokens are only counted.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

from tokenizers import Encoding, Tokenizer

from workflow_scripts.data.lengths import TokenCounter, encodes_words_alone
from workflow_scripts.formats.prompts import sections


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's tokens, without special ones; of those after the encoder's `room` only the number.

    `own` is None where all of the room goes to the constant part.
    """

    constant: Encoding | None  # of the first `cut` characters
    own: Encoding | None
    own_count: int
    cut: int = 0

    def __len__(self) -> int:
        return len(self.constant or ()) + self.own_count

    def ids(self, count: int) -> list[int]:
        """The first `count` ids, `room` at most."""
        before = self.constant.ids[:count] if self.constant else []
        return before + self.own.ids[: count - len(before)] if self.own else before

    def end(self, place: int) -> int:
        """The character at which the token at a place within `room` ends."""
        before = len(self.constant or ())
        if place < before:
            return self.constant.token_to_chars(place)[1]
        return self.cut + self.own.token_to_chars(place - before)[1]


class SourceEncoder:
    """Encodes sources with one tokenizer; `parts` says that they are whole prompts.

    Tokens after the first `room` need not be known.
    """

    def __init__(self, tokenizer: Tokenizer, parts: bool = True, room: int = sys.maxsize):
        self.tokenizer, self.room = tokenizer, room
        self._counter = TokenCounter(tokenizer)
        self._in_parts = parts and encodes_words_alone(tokenizer)
        self._constants: dict[str, Encoding | None] = {}  # None: the parts differ from the whole

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        cuts = [self._cut(text) for text in texts]
        constants = [
            self._constants[text[:cut]] if cut else None
            for text, cut in zip(texts, cuts, strict=True)
        ]
        own = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
        full = [len(constant or ()) >= self.room for constant in constants]
        counts = iter(self._counter.count(list(compress(own, full))))
        read = [text for text, no_room in zip(own, full, strict=True) if not no_room]
        encodings = iter(self.tokenizer.encode_batch(read, add_special_tokens=False))
        found = []
        for constant, cut, no_room in zip(constants, cuts, full, strict=True):
            encoding = None if no_room else next(encodings)
            count = next(counts) if no_room else len(encoding)
            found.append(Tokens(constant, encoding, count, cut))
        return found

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
