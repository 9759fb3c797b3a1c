"""Answers that keep to the grammars of formats/answer_grammar.py, in the tokens of any tokenizer.

llguidance says which tokens may come next: an Earley parser over a lexer of regular expressions.
(Scholak, Schucher and Bahdanau 2021, PICARD, reject what does not parse; here nothing that cannot
become valid is begun.)
"""

import functools
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from llguidance.hf import from_tokenizer

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answer_grammar import selector_grammar, sql_grammar
from workflow_scripts.formats.schema import parse_foreign_keys, parse_schema
from workflow_scripts.text.tokenizers import decode

# What a schema of a hundred tables takes.
LIMITS = LLParserLimits(
    max_items_in_row=100_000,
    step_max_items=1_000_000,
    initial_lexer_fuel=100_000_000,
    step_lexer_fuel=20_000_000,
    max_lexer_states=2_000_000,
    max_grammar_size=5_000_000,
)
NEEDED = "\n`{"  # characters without which no answer keeps to its form


class Pieces:
    """A SentencePiece tokenizer in the form that llguidance asks for: the bytes of each token."""

    bos_token_id = None

    def __init__(self, tokenizer: Any):
        self.tokenizer, self.eos_token_id = tokenizer, tokenizer.eos_token_id
        self.before = {head: self._encode(head) for head in "a1."}
        [head, before], *_ = self.before.items()
        texts = [
            decode(tokenizer, [*before, token]).removeprefix(head)
            for token in range(len(tokenizer))
        ]
        self.by_text = {text: token for token, text in enumerate(texts) if text}
        self.first = {text[:1] for text in self.by_text}
        # \xff is in no text: such tokens, and parts of characters (\ufffd), are never allowed.
        self.tokens = [
            text.encode() if text and "\ufffd" not in text else b"\xff%d" % token
            for token, text in enumerate(texts)
        ]

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def __call__(self, text: bytes) -> list[int]:
        """The tokens of what must come next, as they stand inside an answer."""
        rest = text.decode()
        for head, before in self.before.items():  # one that the text does not grow together with
            whole = self._encode(head + rest)
            if whole[: len(before)] == before:
                return whole[len(before) :]
        ids = []
        while rest:
            piece = next(
                rest[:end] for end in range(len(rest), 0, -1) if rest[:end] in self.by_text
            )
            ids.append(self.by_text[piece])
            rest = rest[len(piece) :]
        return ids


class Constraints:
    """The forms of a tokenizer's answers; one for each task and schema."""

    def __init__(self, tokenizer: Any):
        self.can_write = True
        try:
            self.tokens = from_tokenizer(tokenizer)
        except ValueError:  # it reads byte-level tokenizers only
            pieces = Pieces(tokenizer)
            self.can_write = set(NEEDED) <= pieces.first
            self.tokens = LLTokenizer(TokenizerWrapper(pieces))
        self.of = functools.cache(self._of)

    def _of(self, task: str, schema: str, foreign_keys: str | None) -> LLMatcher | None:
        """What says which tokens may come next, to be copied for each answer.

        `schema` and `foreign_keys` as the prompt shows them. None: the tokenizer cannot write
        answers in their form. Raises SchemaError when the schema cannot be read, EssenceError when
        it is too large.
        """
        if not self.can_write:
            return None
        tables = {t.name: [column.name for column in t.columns] for t in parse_schema(schema)}
        if task == "Selector":
            grammar = selector_grammar(tables)
        else:
            grammar = sql_grammar(tables, parse_foreign_keys(foreign_keys or ""))
        matcher = LLMatcher(
            self.tokens, LLMatcher.grammar_from_lark(grammar), log_level=0, limits=LIMITS
        )
        if matcher.is_error():
            first = matcher.get_error().splitlines()[0]
            raise EssenceError(
                f"a schema of {len(tables)} tables cannot constrain answers: {first}"
            )
        return matcher


def allowed(matcher: LLMatcher) -> np.ndarray:
    """The numbers of the tokens that may come next; none where the matcher has given up."""
    bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(bits, bitorder="little"))
