"""Rows as token ids under a recipe, truncated at its lengths."""

from collections.abc import Sequence
from typing import Any

from workflow_scripts.artifacts.settings import Recipe
from workflow_scripts.artifacts.tables import Row
from workflow_scripts.formats.compact import compact_prompt
from workflow_scripts.formats.prompts import parse_prompt, sections


def source_text(recipe: Recipe, source: str) -> str:
    """The encoder's text: the whole source, its own sections, or the compact prompt made of it.

    Raises PromptError or SchemaError when the source is no prompt that can be read.
    """
    if recipe.prompt == "full":
        return source
    if recipe.prompt == "own":
        return source[slice(*sections(source)["own"])]
    return compact_prompt(parse_prompt(source))


def encode_sources(rows: Sequence[Row], recipe: Recipe, tokenizer: Any) -> list[list[int]]:
    texts = [source_text(recipe, row.source) for row in rows]
    return tokenizer(texts, truncation=True, max_length=recipe.source_tokens)["input_ids"]


def encode_targets(rows: Sequence[Row], recipe: Recipe, tokenizer: Any) -> list[list[int]]:
    texts = [row.target for row in rows]
    return tokenizer(texts, truncation=True, max_length=recipe.target_tokens)["input_ids"]
