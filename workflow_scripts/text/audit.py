"""The fit audit: what encoding, truncation and decoding under a recipe leave of each row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pandas as pd

from workflow_scripts.formats.prompts import compact_parts, parse_prompt, sections
from workflow_scripts.records import Record
from workflow_scripts.settings import Recipe
from workflow_scripts.tables import Row
from workflow_scripts.text.preprocessing import ModelInput, source_text
from workflow_scripts.text.similarity import exact_match, rouge_l

REQUIRED = ("question", "schema", "old_sql")  # sections without which a row cannot be answered
SCORES = ("exact_match", "rouge_l", "exact_match_decoded", "rouge_l_decoded")
_BATCH = 256  # rows encoded together


class LengthSummary(Record):
    """Tokens with the end token and those of a chat template; `p95` is by nearest rank."""

    median: int
    p95: int
    max: int


class TaskFit(Record):
    """The rows of one task, or of all tasks.

    Counts of rows, but for `longer_than_generation` (a share, 0 to 1) and `max_*`: the highest mean
    that a model which wrote every label perfectly would reach. `_decoded` compares with the label
    as the tokenizer can write it. `max_exact_match_given_inputs` also heeds that a model gives
    equal inputs equal answers.
    """

    rows: int
    source_tokens: LengthSummary  # before truncation
    sources_cut: int
    cut_in: dict[str, int]  # section of the prompt in which truncation falls -> rows
    question_kept: int  # the section is whole after truncation
    schema_kept: int
    old_sql_kept: int | None  # None: no row has one
    distinct_sources: int
    distinct_inputs: int  # distinct sequences of token ids after truncation
    target_tokens: LengthSummary
    targets_cut: int
    targets_surviving: int  # decoding the encoded answer gives the answer, to the byte
    lost_characters: dict[str, int]  # occurrences
    longer_than_generation: float
    max_exact_match: float
    max_rouge_l: float
    max_exact_match_decoded: float
    max_rouge_l_decoded: float
    max_exact_match_given_inputs: float


class EmbeddingRows(Record):
    model: int | None  # None: config.json does not say
    needed: int  # by the ids of the recipe's tokenizer


class FitAudit(Record):
    """results/fit/<recipe>.json: what a recipe leaves of the rows, before training."""

    recipe: str
    settings: Recipe
    tokenizer: str  # folder
    embedding_rows: EmbeddingRows
    rows: int
    unreadable: int
    first_unreadable: str | None
    tasks: dict[str, TaskFit]
    all: TaskFit
    learning_possible: bool
    warnings: list[str]


def audit_rows(rows: Iterable[Row], reads: ModelInput) -> pd.DataFrame:
    """One line per row, texts as hashes, which is enough to count different ones.

    Raises PromptError or SchemaError where a source is no prompt that can be read.
    """
    rows, lines = iter(rows), []
    while batch := list(islice(rows, _BATCH)):
        sources = _audit_sources(reads, batch)
        targets = _audit_targets(reads, [row.target for row in batch])
        lines += [
            {"task": row.task, **source, **target}
            for row, source, target in zip(batch, sources, targets, strict=True)
        ]
    return pd.DataFrame(lines)


def _audit_sources(reads: ModelInput, rows: list[Row]) -> Iterator[dict[str, Any]]:
    """What is left of each source; of each section that its task requires, whether it is whole."""
    recipe, room = reads.recipe, reads.source_room
    texts = [source_text(recipe, row.source) for row in rows]
    encoded = reads.tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    for row, text, tokens in zip(rows, texts, encoded, strict=True):
        required = REQUIRED if row.task == "Refiner" else REQUIRED[:2]
        cut_in, kept = None, dict.fromkeys(required, True)
        if len(tokens) > room:
            end = tokens.token_to_chars(room - 1)[1] if room > 0 else 0
            spans = _spans(recipe, row.source)
            cut_in = _section_at(spans, end)
            kept = {name: spans[name][1] <= end for name in required}
        yield {
            "source": hash(text),
            "input": hash(tuple(tokens.ids[:room])),
            "source_tokens": len(tokens) + reads.around_source,
            "cut_in": cut_in,
            **{name: kept.get(name) for name in REQUIRED},
        }


def _spans(recipe: Recipe, source: str) -> dict[str, tuple[int, int]]:
    """Section -> (start, end) in the text that the recipe makes of a source."""
    if recipe.prompt in ("full", "own"):
        spans = sections(source)
        before = 0 if recipe.prompt == "full" else spans["own"][0]
        return {name: (start - before, end - before) for name, (start, end) in spans.items()}
    spans, at = {"own": (0, 0)}, 0
    for name, text in compact_parts(parse_prompt(source)).items():
        spans[name] = (at, at := at + len(text))
    return spans


def _section_at(spans: dict[str, tuple[int, int]], end: int) -> str:
    """The section that truncation at the character `end` falls in, or just before."""
    if end <= spans["own"][0]:
        return "constant part"
    ends = sorted((stop, name) for name, (_, stop) in spans.items() if name != "own")
    return next((name for stop, name in ends if end < stop), "closing words")


def _audit_targets(reads: ModelInput, targets: list[str]) -> Iterator[dict[str, Any]]:
    """What is left of each target, and the scores of the best answer that a model could write."""
    recipe, special = reads.recipe, reads.around_target
    label_room = recipe.target_tokens - special
    answer_room = min(label_room, recipe.generate_tokens)
    backend = reads.tokenizer.backend_tokenizer
    encoded = [each.ids for each in backend.encode_batch_fast(targets, add_special_tokens=False)]
    written, labels, answers = (
        backend.decode_batch([ids[:room] for ids in encoded])
        for room in (None, label_room, answer_room)
    )
    for target, ids, text, label, answer in zip(
        targets, encoded, written, labels, answers, strict=True
    ):
        lost = Counter(target) - Counter(text) if text != target else Counter()
        scores = [f(answer, ref) for ref in (target, label) for f in (exact_match, rouge_l)]
        yield {
            "target": hash(target.strip()),  # as exact match compares
            "target_tokens": len(ids) + special,
            "target_cut": len(ids) > label_room,
            "survives": text == target,
            "lost": "".join(lost.elements()),
            "too_long": len(ids) + special > recipe.generate_tokens,
            **dict(zip(SCORES, scores, strict=True)),
        }


def summarise(rows: pd.DataFrame) -> TaskFit:
    """Add up some rows of `audit_rows`."""
    lost = Counter("".join(rows.lost))
    kept = {name: rows[name].dropna() for name in REQUIRED}
    # Each input gets one answer: at best the one that most of its rows have.
    reachable = rows[rows.exact_match == 1].groupby(["input", "target"]).size()
    return TaskFit(
        rows=len(rows),
        source_tokens=_summarise_lengths(rows.source_tokens),
        sources_cut=int(rows.cut_in.notna().sum()),
        cut_in=rows.cut_in.value_counts().to_dict(),
        **{f"{name}_kept": int(each.sum()) if len(each) else None for name, each in kept.items()},
        distinct_sources=rows.source.nunique(),
        distinct_inputs=rows.input.nunique(),
        target_tokens=_summarise_lengths(rows.target_tokens),
        targets_cut=int(rows.target_cut.sum()),
        targets_surviving=int(rows.survives.sum()),
        lost_characters=dict(sorted(lost.items(), key=lambda item: (-item[1], item[0]))),
        longer_than_generation=float(rows.too_long.mean()),
        **{f"max_{name}": float(rows[name].mean()) for name in SCORES},
        max_exact_match_given_inputs=float(reachable.groupby("input").max().sum() / len(rows)),
    )


def _summarise_lengths(tokens: pd.Series) -> LengthSummary:
    median, p95, most = tokens.quantile([0.5, 0.95, 1], "inverted_cdf")
    return LengthSummary(median=int(median), p95=int(p95), max=int(most))
