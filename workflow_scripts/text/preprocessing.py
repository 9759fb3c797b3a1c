"""The texts that a model is trained on: a row's source under a recipe, and its target."""

from workflow_scripts.artifacts.settings import Recipe
from workflow_scripts.formats.prompts import compact_prompt, parse_prompt


def source_text(recipe: Recipe, source: str) -> str:
    """The encoder's text: the whole source, or the compact prompt made of it.

    Raises PromptError or SchemaError when a compact prompt cannot be made of the source.
    """
    return source if recipe.prompt == "full" else compact_prompt(parse_prompt(source))


def target_text(target: str) -> str:
    """The decoder's text: the answer to the byte, without a literal end token."""
    return target.removesuffix("</s>")
