"""The models in the agents' place: fine-tuned for the three tasks, or behind an endpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow_scripts.agents.loop import Answer
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import parse_prompt, to_source
from workflow_scripts.settings import Recipe
from workflow_scripts.text.preprocessing import model_input

BEGIN_WITH = "Begin your answer with exactly these lines, and go on from there:"


class FineTuned:
    """A model in a folder, asked under the recipe of its run. Raises EssenceError."""

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
        starts = [self.tokenizer(text, add_special_tokens=False).input_ids for text in beginnings]
        parsed = map(parse_prompt, sources) if self.constraints else ()
        forms = [self.constraints.of(each.task, each.schema, each.foreign_keys) for each in parsed]
        answers = generate(
            self.model,
            self.model_input.sources(sources),
            self.model_input.pad,
            self.recipe.generate_tokens,
            self.batch_size,
            beginnings=starts,
            forms=forms,
        )
        return [
            Answer(decode(self.tokenizer, ids), unread)
            for ids, unread in zip(answers, self.model_input.unread(sources), strict=True)
        ]


class Remote:
    """A model behind an endpoint, with whole prompts; it is asked for beginnings, not made to."""

    def __init__(self, client: Any):
        self.client = client  # endpoint.Client
        self.answers: list[Any] = []  # all that it gave so far

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str]) -> list[Answer]:
        texts = [
            f"{prompt}\n{BEGIN_WITH}\n{start.strip()}" if start else prompt
            for prompt, start in zip(prompts, beginnings, strict=True)
        ]
        answers = self.client.answers([[{"role": "user", "content": text}] for text in texts])
        self.answers += answers
        return [Answer(each.text) for each in answers]
