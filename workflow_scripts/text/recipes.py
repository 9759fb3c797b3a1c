"""A recipe is how text meets the model: nothing but its settings, no behaviour by name."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import compact_prompt, parse_prompt

_CHOICES = {"prompt": ("full", "compact"), "tokenizer": ("stock", "lossless")}
# Settings of a recipe that say which rows and weights its runs use, not how text is handled.
_ELSEWHERE = {"test_set", "runs"}


@dataclass(frozen=True)
class Recipe:
    """`source_tokens` and `target_tokens` count the end mark; `generate_tokens` is the most that
    are generated for an answer."""

    name: str
    prompt: str
    source_tokens: int
    target_tokens: int
    tokenizer: str
    padding_in_loss: bool
    generate_tokens: int

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Recipe":
        """Raises EssenceError naming the key that is missing, unknown or of the wrong kind."""
        name = settings.get("name", "unnamed")
        known = {field.name: field.type for field in fields(cls)}
        unknown = sorted(set(settings) - set(known) - _ELSEWHERE)
        if unknown:
            raise EssenceError(
                f"recipe {name}: unknown key {unknown[0]}; known: {', '.join(known)}"
            )
        values = {"name": name} | {key: settings.get(key) for key in known if key != "name"}
        for key, kind in known.items():
            value = values[key]
            if type(value) is not kind or (kind is int and value < 1):
                raise EssenceError(
                    f"recipe {name}: {key} must be {_wanted(key, kind)}, not {value!r}"
                )
            if key in _CHOICES and value not in _CHOICES[key]:
                raise EssenceError(
                    f"recipe {name}: {key} must be {_wanted(key, kind)}, not {value!r}"
                )
        return cls(**values)


def read_recipe(config: Path | str, name: str) -> Recipe:
    """The recipe called `name` under `recipes` of a YAML configuration.

    Raises EssenceError when the file or the recipe is missing.
    """
    try:
        recipes = yaml.safe_load(Path(config).read_text(encoding="utf-8")).get("recipes") or {}
    except FileNotFoundError as error:
        raise EssenceError(f"{config}: no such configuration; name one with --config") from error
    except (yaml.YAMLError, AttributeError) as error:
        raise EssenceError(f"{config}: not a YAML configuration ({error})") from error
    if name not in recipes:
        raise EssenceError(f"{config}: no recipe {name!r}; there are {', '.join(recipes)}")
    return Recipe.from_settings({**recipes[name], "name": name})


def source_text(recipe: Recipe, source: str) -> str:
    """What the model reads of a processed source: all of it, or the compact prompt.

    Raises PromptError or SchemaError when a compact prompt is wanted of what is none.
    """
    return source if recipe.prompt == "full" else compact_prompt(parse_prompt(source))


def target_text(target: str) -> str:
    """What the model is to write: the answer to the byte, without a literal end mark."""
    return target.removesuffix("</s>")


def _wanted(key: str, kind: type) -> str:
    if key in _CHOICES:
        return " or ".join(_CHOICES[key])
    return {int: "a positive whole number", bool: "true or false"}.get(kind, "a text")
