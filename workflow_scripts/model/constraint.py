"""Which tokens an answer may go on with so that its text keeps to a form.

A form says how a text may go on; the vocabulary, as a tree of characters, says which tokens begin
like that. A token may end inside a piece of the form or reach over several. (Scholak, Schucher and
Bahdanau 2021, PICARD, reject what does not parse; here nothing that cannot become valid is begun.)
"""

import functools
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from workflow_scripts.artifacts.tables import Row
from workflow_scripts.formats.schema_text import parse_schema
from workflow_scripts.formats.selector_form import Place, SelectorForm
from workflow_scripts.text.tokenizers import decode


class Form(Protocol):
    """Places are hashable; an answer starts at the place that it is given with."""

    def goes_on(self, place: Any) -> list[tuple[str, Any]]:
        """(text, place after it) of everything that may come next."""
        ...

    def may_end(self, place: Any) -> bool: ...


@dataclass
class Node:
    """Tokens whose text ends here, and the characters that others go on with."""

    tokens: list[int] = field(default_factory=list)
    next: dict[str, "Node"] = field(default_factory=dict)


class Vocabulary:
    """The texts of a tokenizer's tokens as they stand inside an answer."""

    def __init__(self, tokenizer: Any):
        before = tokenizer.encode("a", add_special_tokens=False)
        head = decode(tokenizer, before)
        self.end = tokenizer.eos_token_id
        self.texts: dict[int, str] = {}
        self.root = Node()
        for token in range(len(tokenizer)):
            text = decode(tokenizer, [*before, token]).removeprefix(head)
            if text and "\ufffd" not in text:  # a part of a character
                self.texts[token] = text
                self._add(text, token)

    def _add(self, text: str, token: int) -> None:
        node = self.root
        for character in text:
            node = node.next.setdefault(character, Node())
        node.tokens.append(token)


# How far a text is: what is left of a piece of the form, and the place after that piece.
Rest = tuple[str, Hashable]


class Constraint:
    """A form in the tokens of a vocabulary. A state is the set of all the ways to read the text."""

    def __init__(self, form: Form, start: Hashable, vocabulary: Vocabulary):
        self._form, self._vocabulary = form, vocabulary
        self.start = frozenset([("", start)])
        self.allowed = functools.cache(self._allowed)

    def after(self, state: frozenset[Rest], token: int) -> frozenset[Rest]:
        """The state after one of the tokens allowed."""
        text = self._vocabulary.texts.get(token, "")
        return frozenset(left for rest in state for left in self._read(text, *rest))

    def _allowed(self, state: frozenset[Rest]) -> list[int]:
        """The tokens that may come next; none where the vocabulary cannot write what must come."""
        tokens = {token for rest in state for token in self._begin(self._vocabulary.root, *rest)}
        if any(not rest and self._form.may_end(place) for rest, place in state):
            tokens.add(self._vocabulary.end)
        return sorted(tokens)

    def _read(self, text: str, rest: str, place: Hashable) -> Iterator[Rest]:
        if rest.startswith(text):
            yield rest[len(text) :], place
        elif text.startswith(rest):
            for piece, after in self._form.goes_on(place):
                yield from self._read(text[len(rest) :], piece, after)

    def _begin(self, node: Node, rest: str, place: Hashable) -> Iterator[int]:
        for character in rest:
            node = node.next.get(character)
            if node is None:
                return
            yield from node.tokens
        if node.next:
            for piece, after in self._form.goes_on(place):
                yield from self._begin(node, piece, after)


def selector_constraints(rows: Sequence[Row], tokenizer: Any) -> list[Constraint | None]:
    """For each Selector row its schema's constraint, one a schema; None for other rows."""
    vocabulary = Vocabulary(tokenizer)

    @functools.cache
    def of_schema(schema: str) -> Constraint:
        tables = {t.name: [column.name for column in t.columns] for t in parse_schema(schema)}
        return Constraint(SelectorForm(tables), Place(), vocabulary)

    return [of_schema(row.schema) if row.task == "Selector" else None for row in rows]
