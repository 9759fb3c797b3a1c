"""Which tokens an answer may go on with so that its text keeps to a form.

A form says how a text may go on; the vocabulary, as a tree of characters, says which tokens begin
like that. A token may end inside a piece of the form or reach over several. (Scholak, Schucher and
Bahdanau 2021, PICARD, reject what does not parse; here nothing that cannot become valid is begun.)
"""

import functools
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_scripts.formats.answer_forms import AnyBut, SelectorForm, SqlForm
from workflow_scripts.formats.schema import parse_schema
from workflow_scripts.text.tokenizers import decode


@dataclass(eq=False)
class Node:
    """Tokens whose text ends here, and the characters that others go on with."""

    tokens: list[int] = field(default_factory=list)
    next: dict[str, "Node"] = field(default_factory=dict)


class Vocabulary:
    """The texts of a tokenizer's tokens as they stand inside an answer."""

    def __init__(self, texts: Mapping[int, str], end: int):
        """`texts`: token -> text; `end`: the token that ends an answer."""
        self.texts, self.end, self.root = texts, end, Node()
        self.runs = functools.cache(self._runs)
        for token, text in texts.items():
            self._add(text, token)

    @classmethod
    def of(cls, tokenizer: Any) -> "Vocabulary":
        before = tokenizer.encode("a", add_special_tokens=False)
        head = decode(tokenizer, before)
        texts = {
            token: decode(tokenizer, [*before, token]).removeprefix(head)
            for token in range(len(tokenizer))
        }
        whole = {token: text for token, text in texts.items() if text and "\ufffd" not in text}
        return cls(whole, tokenizer.eos_token_id)  # \ufffd: a part of a character

    def in_lower_case(self) -> "Vocabulary":
        return Vocabulary({token: text.lower() for token, text in self.texts.items()}, self.end)

    def _runs(self, node: Node, piece: AnyBut) -> tuple[list[int], list[Node]]:
        """From a node on: the tokens that are a run to their end, and nodes before which one ends.

        At these only a character comes that the run cannot have.
        """
        tokens, ends, left = [], [], [node]
        while left:
            here = left.pop()
            free = [child for char, child in here.next.items() if char not in piece.characters]
            for child in free:
                tokens += child.tokens
            if here is not node and len(free) < len(here.next):
                ends.append(
                    Node(next={c: n for c, n in here.next.items() if c in piece.characters})
                )
            left += free
        return tokens, ends

    def _add(self, text: str, token: int) -> None:
        node = self.root
        for character in text:
            node = node.next.setdefault(character, Node())
        node.tokens.append(token)


# How far a text is: what is left of a piece of the form, and the place after that piece.
Rest = tuple[str, Hashable]


class Constraint:
    """A form in the tokens of a vocabulary. A state is the set of all the ways to read the text."""

    def __init__(self, form: SelectorForm | SqlForm, vocabulary: Vocabulary):
        self._form, self._vocabulary = form, vocabulary
        self.start = frozenset([("", form.start)])
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
            left = text[len(rest) :]
            for piece, after in self._form.goes_on(place):
                if isinstance(piece, AnyBut):
                    if length := _run(left, piece):
                        yield from self._read(left[length:], "", after)
                elif piece[0] == left[0]:
                    yield from self._read(left, piece, after)

    def _begin(self, node: Node, rest: str, place: Hashable) -> Iterator[int]:
        for character in rest:
            node = node.next.get(character)
            if node is None:
                return
            yield from node.tokens
        if not node.next:
            return
        for piece, after in self._form.goes_on(place):
            if isinstance(piece, AnyBut):
                tokens, ends = self._vocabulary.runs(node, piece)
                yield from tokens
                for end in ends:
                    yield from self._begin(end, "", after)
            elif piece[0] in node.next:
                yield from self._begin(node, piece, after)


def _run(text: str, piece: AnyBut) -> int:
    """How many characters of the text's beginning are in a run."""
    return next((n for n, each in enumerate(text) if each in piece.characters), len(text))


class Constraints:
    """Those of a tokenizer's answers; one for each task and schema."""

    def __init__(self, tokenizer: Any):
        self._vocabulary = Vocabulary.of(tokenizer)
        self._lower = self._vocabulary.in_lower_case()  # to SQL, case makes no difference
        self.of = functools.cache(self._of)

    def _of(self, task: str, schema: str) -> Constraint | None:
        """`schema` as the prompt shows it. None: the vocabulary cannot write answers in their form.

        Raises SchemaError when the schema cannot be read.
        """
        if not {"\n", "`"} <= self._vocabulary.root.next.keys():
            return None
        tables = {t.name: [column.name for column in t.columns] for t in parse_schema(schema)}
        if task == "Selector":
            return Constraint(SelectorForm(tables), self._vocabulary)
        columns = {column for of_table in tables.values() for column in of_table}
        return Constraint(SqlForm(tables, columns), self._lower)
