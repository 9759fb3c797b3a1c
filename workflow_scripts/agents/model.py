"""The models behind the agents: prompts in, answers out.

The loop asks for a batch of prompts at a time. Here a model that was fine-tuned for the three
tasks answers them, in remote.py one behind an endpoint; anything with such an `answer` can replace
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import parse_prompt, to_source
from workflow_scripts.settings import Recipe
from workflow_scripts.text.preprocessing import model_input


@dataclass(frozen=True)
class Answer:
    """`unread_tokens`: how many tokens of the prompt the model did not read, for its length."""

    text: str
    unread_tokens: int = 0


class BackEnd(Protocol):
    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        """Return one answer per prompt; `beginnings`: the text that each must start with."""


class FineTuned:
    """A model in a folder, with prompts as in its training: under the recipe of its run.

    Raises EssenceError when the folder holds no model that can be used.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        device: str = "cpu",
        batch_size: int = 32,
        constrained: bool = False,
    ):
        # With torch, which whoever only reads traces does without.
        from workflow_scripts.model.constraint import Constraints
        from workflow_scripts.model.load import load_model
        from workflow_scripts.text.tokenizers import embedding_rows_needed

        self.recipe, self.batch_size = recipe, batch_size
        self.model: Any = load_model(folder).eval().to(device)
        # What a lossless recipe adds, a fine-tuned model's own tokenizer has.
        self.model_input = model_input(folder, recipe.model_copy(update={"tokenizer": "stock"}))
        self.tokenizer = self.model_input.tokenizer
        self.constraints = Constraints(self.tokenizer) if constrained else None
        rows = self.model.get_input_embeddings().weight.shape[0]
        if embedding_rows_needed(self.tokenizer) > rows:
            raise EssenceError(
                f"{folder}: the tokenizer has more tokens than the model has embeddings ({rows}): "
                "they are not of one model. Copy both from the same run."
            )

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        from workflow_scripts.model.decoding import generate
        from workflow_scripts.text.tokenizers import decode

        sources = [to_source(prompt) for prompt in prompts]
        starts = [
            self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in beginnings
        ]
        answers = generate(
            self.model,
            self.model_input.sources(sources),
            self.model_input.pad,
            self.recipe.generate_tokens,
            self.batch_size,
            beginnings=starts,
            constraints=[self.constraints.of(*_task_and_schema(prompt)) for prompt in prompts]
            if self.constraints
            else (),
        )
        return [
            Answer(decode(self.tokenizer, ids), unread)
            for ids, unread in zip(answers, self.model_input.unread(sources), strict=True)
        ]


def _task_and_schema(prompt: str) -> tuple[str, str]:
    """Read the task of a prompt and the schema that it shows."""
    read = parse_prompt(to_source(prompt))
    return read.task, read.schema
