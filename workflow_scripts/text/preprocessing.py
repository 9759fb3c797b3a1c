"""Turn rows into what a model reads and writes, for each architecture; nothing else does."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import compact_prompt, parse_prompt, sections
from workflow_scripts.settings import Recipe
from workflow_scripts.text.architecture import architecture_of, model_config
from workflow_scripts.text.tokenizers import load_tokenizer, round_trips

SEPARATOR = "\n\n"  # between source and target, where a tokenizer has no chat template
# Some templates tell the model the day. Prompts must not depend on when they were made.
TEMPLATE_DATE = "01 Jan 2024"


def source_text(recipe: Recipe, source: str) -> str:
    """Choose the model's text: the whole source, its own sections, or its compact prompt.

    Raises PromptError or SchemaError when the source is no prompt that can be read.
    """
    if recipe.prompt == "full":
        return source
    if recipe.prompt == "own":
        return source[slice(*sections(source)["own"])]
    return compact_prompt(parse_prompt(source))


class ModelInput:
    """An encoder-decoder reads the source and writes the target, each with its special tokens.

    source_room: tokens of a source's own that are read at most; around_source: tokens that come to
    them. The same for targets; `around_target` is the end token, and what else the tokenizer adds.
    """

    padding_side = "right"  # of sources in a batch

    def __init__(self, tokenizer: Any, recipe: Recipe):
        self.tokenizer, self.recipe = tokenizer, recipe
        self.pad, self.end = tokenizer.pad_token_id, tokenizer.eos_token_id
        self.around_source = self.around_target = tokenizer.num_special_tokens_to_add()
        self.source_room = recipe.source_tokens - self.around_source
        self.longest = max(recipe.source_tokens, recipe.target_tokens, recipe.generate_tokens)

    def sources(self, sources: Sequence[str]) -> list[list[int]]:
        """Encode sources to the token ids that the model reads."""
        tokens = self.recipe.source_tokens
        return self.tokenizer(self._texts(sources), truncation=True, max_length=tokens)["input_ids"]

    def targets(self, targets: Sequence[str]) -> list[list[int]]:
        """Encode the answers to be learned, with the end token."""
        tokens = self.recipe.target_tokens
        return self.tokenizer(list(targets), truncation=True, max_length=tokens)["input_ids"]

    def unread(self, sources: Sequence[str]) -> list[int]:
        """Count the tokens of each source beyond the model's limit."""
        own = self.tokenizer(self._texts(sources), add_special_tokens=False)["input_ids"]
        return [max(0, len(ids) - self.source_room) for ids in own]

    def _texts(self, sources: Sequence[str]) -> list[str]:
        return [source_text(self.recipe, source) for source in sources]


class CausalInput(ModelInput):
    """A decoder-only model reads one sequence, which it goes on with: the answer is its end.

    The source is the user's turn of the tokenizer's chat template; without a template, a separator
    follows it. The answer follows, and the end token. The recipe's `source_tokens` are the source's
    own; what is around them comes to that.
    """

    padding_side = "left"

    def __init__(self, tokenizer: Any, recipe: Recipe):
        """Raises EssenceError when the tokenizer's end token or chat template cannot be used."""
        self.tokenizer, self.recipe = tokenizer, recipe
        self.end = tokenizer.eos_token_id
        if self.end is None:
            raise EssenceError(
                "the tokenizer has no end token, so no answer could end. Set eos_token in "
                "tokenizer_config.json of model.base."
            )
        # Read only where padding counts in the loss: for want of one, the end token will do.
        self.pad = self.end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._start = [
            token
            for token in tokenizer("")["input_ids"][:1]
            if token == tokenizer.bos_token_id and not tokenizer.chat_template
        ]
        self.source_room = recipe.source_tokens
        self.around_source, self.around_target = len(self._prompts([""])[0]), 1
        answer = max(recipe.target_tokens, recipe.generate_tokens)
        self.longest = self.source_room + self.around_source + answer

    def sources(self, sources: Sequence[str]) -> list[list[int]]:
        texts = self._texts(sources)
        own = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        room = self.source_room
        pairs = zip(texts, own["offset_mapping"], strict=True)
        return self._prompts(
            [text[: at[room - 1][1]] if len(at) > room else text for text, at in pairs]
        )

    def targets(self, targets: Sequence[str]) -> list[list[int]]:
        ids = self.tokenizer(list(targets), add_special_tokens=False)["input_ids"]
        return [[*answer[: self.recipe.target_tokens - 1], self.end] for answer in ids]

    def _prompts(self, texts: Sequence[str]) -> list[list[int]]:
        whole = [text + SEPARATOR for text in texts]
        if self.tokenizer.chat_template:
            try:
                whole = self.tokenizer.apply_chat_template(
                    [[{"role": "user", "content": text}] for text in texts],
                    tokenize=False,
                    add_generation_prompt=True,
                    date_string=TEMPLATE_DATE,
                )
            except Exception as error:  # a template is a program: it may raise anything
                raise EssenceError(
                    f"the tokenizer's chat template cannot be used ({error}). Repair it in "
                    "tokenizer_config.json of model.base, or take it out."
                ) from error
        ids = self.tokenizer(whole, add_special_tokens=False)["input_ids"]
        return [self._start + each for each in ids]


def model_input(folder: Path, recipe: Recipe, targets: Iterable[str] = ()) -> ModelInput:
    """What the model in a folder reads under a recipe; `targets` are the answers that it learns.

    Raises EssenceError when the tokenizer cannot be used, when the recipe's lengths are more than
    the model's own, or when the recipe asks for a lossless tokenizer and a decoder-only model's
    loses characters: its vocabulary is left as it is, so that adapters suffice to train it.
    """
    if architecture_of(folder) == "causal":
        made = CausalInput(load_tokenizer(folder, "stock"), recipe)
        for text in targets if recipe.tokenizer == "lossless" else ():
            if not round_trips(made.tokenizer, text):
                raise EssenceError(
                    f"{folder}: the tokenizer cannot write this answer: {text[:80]!r}. A lossless "
                    "one is made for encoder-decoders only. Set the recipe's tokenizer to stock, "
                    "and see what is lost in results/fit."
                )
    else:
        made = ModelInput(load_tokenizer(folder, recipe.tokenizer, targets), recipe)
    limit = model_config(folder).get("max_position_embeddings")
    if limit and made.longest > limit:
        raise EssenceError(
            f"{folder}: the model reads {limit} tokens at most, and the recipe {recipe.name} gives "
            f"it up to {made.longest}. Lower source_tokens, target_tokens or generate_tokens."
        )
    return made
