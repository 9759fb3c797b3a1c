"""The fit audit: what encoding, truncation and decoding under a recipe leave of each row."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from workflow_scripts.artifacts.fit import LengthSummary, TaskFit
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.formats.prompts import compact_parts, parse_prompt, sections
from workflow_scripts.settings import Recipe
from workflow_scripts.text.preprocessing import ModelInput, source_text
from workflow_scripts.text.similarity import exact_match, rouge_l

REQUIRED = ("question", "schema", "old_sql")  # sections without which a row cannot be answered
_BATCH = 256  # rows encoded together


@dataclass(frozen=True, slots=True)
class SourceFit:
    """What is left of one source; texts as hashes, which is enough to count different ones."""

    text: int
    input: int  # the token ids after truncation
    tokens: int  # before truncation, with what comes around it: end token, chat template
    cut_in: str | None  # section in which truncation falls
    kept: dict[str, bool]  # each required section of its task: whether it is whole


@dataclass(frozen=True, slots=True)
class TargetFit:
    """What is left of one target."""

    text: int
    tokens: int
    cut: bool
    survives: bool  # decode(encode(target)) is the target, to the byte
    lost: Counter  # characters of the target that encoding loses or changes
    too_long: bool  # for the limit on generation
    scores: dict[str, float]  # of the best answer that a model could write


def fit_rows(
    rows: Iterable[Row], model_input: ModelInput
) -> Iterator[tuple[str, SourceFit, TargetFit]]:
    """(task, source, target) of each row, read in batches.

    Raises PromptError or SchemaError where a source is no prompt that can be read.
    """
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        sources = _fit_sources(model_input, batch)
        targets = _fit_targets(model_input, [row.target for row in batch])
        yield from zip([row.task for row in batch], sources, targets, strict=True)


def _fit_sources(model_input: ModelInput, rows: list[Row]) -> Iterator[SourceFit]:
    recipe, room = model_input.recipe, model_input.source_room
    texts = [source_text(recipe, row.source) for row in rows]
    encoded = model_input.tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    for row, text, tokens in zip(rows, texts, encoded, strict=True):
        required = REQUIRED if row.task == "Refiner" else REQUIRED[:2]
        cut_in, kept = None, dict.fromkeys(required, True)
        if len(tokens) > room:
            end = tokens.token_to_chars(room - 1)[1] if room > 0 else 0
            spans = _spans(recipe, row.source)
            cut_in = _section_at(spans, end)
            kept = {name: spans[name][1] <= end for name in required}
        yield SourceFit(
            text=hash(text),
            input=hash(tuple(tokens.ids[:room])),
            tokens=len(tokens) + model_input.around_source,
            cut_in=cut_in,
            kept=kept,
        )


def _spans(recipe: Recipe, source: str) -> dict[str, tuple[int, int]]:
    """Section -> (start, end) in the text that the recipe makes of a source."""
    if recipe.prompt in ("full", "own"):
        spans = sections(source)
        before = 0 if recipe.prompt == "full" else spans["own"][0]
        return {name: (start - before, end - before) for name, (start, end) in spans.items()}
    spans, at = {"own": (0, 0)}, 0
    for name, text in compact_parts(parse_prompt(source)):
        spans[name] = (at, at := at + len(text))
    return spans


def _section_at(spans: dict[str, tuple[int, int]], end: int) -> str:
    """The section that truncation at the character `end` falls in, or just before."""
    if end <= spans["own"][0]:
        return "constant part"
    ends = sorted((stop, name) for name, (_, stop) in spans.items() if name != "own")
    return next((name for stop, name in ends if end < stop), "closing words")


def _fit_targets(model_input: ModelInput, targets: list[str]) -> Iterator[TargetFit]:
    recipe, special = model_input.recipe, model_input.around_target
    label_room = recipe.target_tokens - special
    backend = model_input.tokenizer.backend_tokenizer
    encoded = [e.ids for e in backend.encode_batch_fast(targets, add_special_tokens=False)]

    def decoded_when_cut(room: int) -> dict[int, str]:
        """Place -> text after truncation, of the targets with more than `room` tokens."""
        long = [place for place, ids in enumerate(encoded) if len(ids) > room]
        texts = backend.decode_batch([encoded[place][:room] for place in long])
        return dict(zip(long, texts, strict=True))

    decoded = backend.decode_batch(encoded)
    labels = decoded_when_cut(label_room)
    answers = decoded_when_cut(min(label_room, recipe.generate_tokens))
    for place, (target, ids, text) in enumerate(zip(targets, encoded, decoded, strict=True)):
        label, answer = labels.get(place, text), answers.get(place, text)
        yield TargetFit(
            text=hash((target.strip(),)),  # as exact match compares
            tokens=len(ids) + special,
            cut=len(ids) > label_room,
            survives=text == target,
            lost=Counter(target) - Counter(text) if text != target else Counter(),
            too_long=len(ids) + special > recipe.generate_tokens,
            scores={
                "exact_match": exact_match(answer, target),
                "rouge_l": rouge_l(answer, target),
                "exact_match_decoded": exact_match(answer, label),
                "rouge_l_decoded": rouge_l(answer, label),
            },
        )


@dataclass
class FitCounts:
    """The rows of one task, or of all tasks, added up."""

    rows: int = 0
    sources: array = field(default_factory=lambda: array("q"))  # of each row
    inputs: array = field(default_factory=lambda: array("q"))
    answers: array = field(default_factory=lambda: array("q"))  # 0: no model could write it exactly
    source_tokens: Counter = field(default_factory=Counter)  # length -> rows
    target_tokens: Counter = field(default_factory=Counter)
    cut_in: Counter = field(default_factory=Counter)
    kept: Counter = field(default_factory=Counter)  # required section -> rows that keep it whole
    targets_cut: int = 0
    targets_surviving: int = 0
    targets_too_long: int = 0
    lost: Counter = field(default_factory=Counter)
    scores: Counter = field(default_factory=Counter)

    def add(self, source: SourceFit, target: TargetFit) -> None:
        self.rows += 1
        self.sources.append(source.text)
        self.inputs.append(source.input)
        self.answers.append(target.text if target.scores["exact_match"] else 0)
        self.source_tokens[source.tokens] += 1
        self.target_tokens[target.tokens] += 1
        if source.cut_in:
            self.cut_in[source.cut_in] += 1
        for section, whole in source.kept.items():
            self.kept[section] += whole
        self.lost.update(target.lost)
        self.targets_cut += target.cut
        self.targets_surviving += target.survives
        self.targets_too_long += target.too_long
        for name, score in target.scores.items():
            self.scores[name] += score

    def summary(self) -> TaskFit:
        lost = sorted(self.lost.items(), key=lambda item: (-item[1], item[0]))
        return TaskFit(
            rows=self.rows,
            source_tokens=_length_summary(self.source_tokens),
            sources_cut=self.cut_in.total(),
            cut_in=dict(self.cut_in),
            **{f"{name}_kept": self.kept.get(name) for name in REQUIRED},
            distinct_sources=len(np.unique(self.sources)),
            distinct_inputs=len(np.unique(self.inputs)),
            target_tokens=_length_summary(self.target_tokens),
            targets_cut=self.targets_cut,
            targets_surviving=self.targets_surviving,
            lost_characters=dict(lost),
            longer_than_generation=self.targets_too_long / self.rows,
            **{f"max_{name}": total / self.rows for name, total in self.scores.items()},
            max_exact_match_given_inputs=self._best_answers() / self.rows,
        )

    def _best_answers(self) -> int:
        """Rows answered exactly where each input gets the answer that most of its rows have."""
        pairs = np.stack([self.inputs, self.answers], 1)
        pairs = pairs[pairs[:, 1] != 0]
        pairs, rows = np.unique(pairs, axis=0, return_counts=True)
        most = np.zeros_like(rows)
        _, input_of = np.unique(pairs[:, 0], return_inverse=True)
        np.maximum.at(most, input_of, rows)
        return int(most.sum())


def _length_summary(lengths: Counter) -> LengthSummary:
    ordered = sorted(lengths.elements())
    p95 = math.ceil(len(ordered) * 0.95)
    return LengthSummary(
        median=ordered[math.ceil(len(ordered) / 2) - 1], p95=ordered[p95 - 1], max=ordered[-1]
    )
