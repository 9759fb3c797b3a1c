"""What is left of each row once it is encoded, cut and decoded under a recipe."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

from workflow_scripts.formats.prompts import compact_parts, parse_prompt, sections
from workflow_scripts.text.recipes import Recipe, source_text, target_text
from workflow_scripts.text.similarity import exact_match, rouge_l

Row = tuple[str, str, str]  # task, source in the processed form, target
WATCHED = ("question", "schema", "old_sql")  # sections that a row can't be answered without
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one row; texts as digests, so that millions of rows can be counted."""

    task: str
    source: bytes  # of the whole source
    input: bytes  # of the ids that the model sees
    source_tokens: int  # before the cut, with the end mark
    cut_in: str | None  # section in which the source is cut
    kept: dict[str, bool]  # of `WATCHED`, those its task has
    answer: bytes  # of the gold answer
    target_tokens: int
    target_cut: bool
    survives: bool  # decode(encode(answer)) is the answer, to the byte
    lost: Counter  # characters of the answer that encoding loses or changes
    too_long: bool  # for the limit on generation
    scores: dict[str, float]  # of the best text a model could write


def watched(task: str) -> tuple[str, ...]:
    """Those of `WATCHED` that a task's prompt has."""
    return WATCHED if task == "Refiner" else WATCHED[:2]


def leftovers(rows: Iterable[Row], recipe: Recipe, tokenizer: Any) -> Iterator[Left]:
    """Yield each row's `Left`, reading `rows` in batches.

    Raises PromptError or SchemaError where a compact prompt can't be made of a row.
    """
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        tasks, sources, targets = zip(*batch, strict=True)
        of_sources = _of_sources(recipe, tokenizer, tasks, sources)
        of_targets = _of_targets(recipe, tokenizer, [target_text(t) for t in targets])
        for task, source, target in zip(tasks, of_sources, of_targets, strict=True):
            yield Left(task=task, **source, **target)


def _of_sources(
    recipe: Recipe, tokenizer: Any, tasks: Iterable[str], sources: Iterable[str]
) -> Iterator[dict[str, Any]]:
    special = tokenizer.num_special_tokens_to_add()
    room = recipe.source_tokens - special
    texts = [source_text(recipe, source) for source in sources]
    encodings = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    for task, source, text, encoding in zip(tasks, sources, texts, encodings, strict=True):
        cut_in, kept = None, dict.fromkeys(watched(task), True)
        if len(encoding) > room:
            end = encoding.token_to_chars(room - 1)[1] if room > 0 else 0
            spans = _spans(recipe, source)
            cut_in = _section_at(spans, end)
            kept = {name: spans[name][1] <= end for name in kept}
        yield {
            "source": _digest(text.encode()),
            "input": _digest(array("I", encoding.ids[:room]).tobytes()),
            "source_tokens": len(encoding) + special,
            "cut_in": cut_in,
            "kept": kept,
        }


def _spans(recipe: Recipe, source: str) -> dict[str, tuple[int, int]]:
    """Section -> (start, end) in the text that the recipe makes of a source."""
    if recipe.prompt == "full":
        return sections(source)
    spans, at = {"own": (0, 0)}, 0
    for name, text in compact_parts(parse_prompt(source)):
        spans[name] = (at, at := at + len(text))
    return spans


def _section_at(spans: dict[str, tuple[int, int]], end: int) -> str:
    """The section that a cut at the character `end` falls in, or stands before."""
    if end <= spans["own"][0]:
        return "constant part"
    ends = sorted((stop, name) for name, (_, stop) in spans.items() if name != "own")
    return next((name for stop, name in ends if end < stop), "closing words")


def _of_targets(recipe: Recipe, tokenizer: Any, answers: list[str]) -> Iterator[dict[str, Any]]:
    special = tokenizer.num_special_tokens_to_add()
    label_room = recipe.target_tokens - special
    best_room = min(label_room, recipe.generate_tokens)
    backend = tokenizer.backend_tokenizer
    encoded = [e.ids for e in backend.encode_batch_fast(answers, add_special_tokens=False)]

    def decoded(room: int | None) -> list[str]:
        """The answers cut at `room` tokens; those that fit are not decoded again."""
        long = [place for place, ids in enumerate(encoded) if room and len(ids) > room]
        cut = backend.decode_batch([encoded[place][:room] for place in long])
        return dict(zip(long, cut, strict=True))

    whole = backend.decode_batch(encoded)
    labels, bests = decoded(label_room), decoded(best_room)
    for place, (answer, ids, text) in enumerate(zip(answers, encoded, whole, strict=True)):
        label, best = labels.get(place, text), bests.get(place, text)
        yield {
            "answer": _digest(answer.encode()),
            "target_tokens": len(ids) + special,
            "target_cut": len(ids) > label_room,
            "survives": text == answer,
            "lost": Counter(answer) - Counter(text) if text != answer else Counter(),
            "too_long": len(ids) + special > recipe.generate_tokens,
            "scores": {
                "exact_match": exact_match(best, answer),
                "rouge_l": rouge_l(best, answer),
                "exact_match_decoded": exact_match(best, label),
                "rouge_l_decoded": rouge_l(best, label),
            },
        }


@dataclass
class Tally:
    """The rows of one task, or of all, put together."""

    rows: int = 0
    sources: set[bytes] = field(default_factory=set)
    answers: dict[bytes, Counter] = field(default_factory=dict)  # of each distinct input
    source_tokens: Counter = field(default_factory=Counter)  # length -> rows
    target_tokens: Counter = field(default_factory=Counter)
    cut_in: Counter = field(default_factory=Counter)
    having: Counter = field(default_factory=Counter)  # watched section -> rows that have it
    kept: Counter = field(default_factory=Counter)
    counts: Counter = field(default_factory=Counter)
    lost: Counter = field(default_factory=Counter)
    scores: Counter = field(default_factory=Counter)

    def add(self, left: Left) -> None:
        self.rows += 1
        self.sources.add(left.source)
        reached = self.answers.setdefault(left.input, Counter())
        if left.scores["exact_match"]:
            reached[left.answer] += 1
        self.source_tokens[left.source_tokens] += 1
        self.target_tokens[left.target_tokens] += 1
        if left.cut_in:
            self.cut_in[left.cut_in] += 1
        self.having.update(left.kept.keys())
        self.kept.update(left.kept)
        self.lost.update(left.lost)
        self.counts["cut"] += left.target_cut
        self.counts["surviving"] += left.survives
        self.counts["too_long"] += left.too_long
        for name, score in left.scores.items():
            self.scores[name] += score

    def summary(self) -> dict[str, Any]:
        """Counts of rows, but for `max_*`, `longer_than_generation` (shares and means, 0 to 1).

        `max_exact_match_given_inputs` also heeds that a model gives equal inputs equal answers.
        """
        best = sum(max(reached.values(), default=0) for reached in self.answers.values())
        kept = {f"{name}_kept": self.kept[name] if self.having[name] else None for name in WATCHED}
        lost = sorted(self.lost.items(), key=lambda item: (-item[1], item[0]))
        return {
            "rows": self.rows,
            "source_tokens": _spread(self.source_tokens),
            "sources_cut": self.cut_in.total(),
            "cut_in": dict(self.cut_in),
            **kept,
            "distinct_sources": len(self.sources),
            "distinct_inputs": len(self.answers),
            "target_tokens": _spread(self.target_tokens),
            "targets_cut": self.counts["cut"],
            "targets_surviving": self.counts["surviving"],
            "lost_characters": dict(lost),
            "longer_than_generation": self.counts["too_long"] / self.rows,
            **{f"max_{name}": total / self.rows for name, total in self.scores.items()},
            "max_exact_match_given_inputs": best / self.rows,
        }


def _spread(lengths: Counter) -> dict[str, int]:
    """Median, 95th percentile (nearest rank) and maximum of counted lengths."""
    total = lengths.total()
    ranks = {"median": math.ceil(total / 2), "p95": math.ceil(total * 0.95), "max": total}
    values = sorted(lengths.items())
    found = {}
    for name, rank in ranks.items():
        seen = 0
        for length, count in values:
            seen += count
            if seen >= rank:
                found[name] = length
                break
    return found


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
