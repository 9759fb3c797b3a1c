"""The models in the agents' place: prompts in, answers out.

One that was fine-tuned for the three tasks, or one behind an endpoint; anything with such an
`answer` can replace them.
"""

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
        forms = []
        if self.constraints:
            parsed = [parse_prompt(source) for source in sources]
            forms = [self.constraints.of(p.task, p.schema, p.foreign_keys) for p in parsed]
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


class Remembering:
    """A model that is asked everything once: setups share most of their prompts."""

    def __init__(self, model: FineTuned):
        self.model = model
        self.answers: dict[tuple[str, str], Answer] = {}

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        pairs = list(zip(prompts, beginnings or [""] * len(prompts), strict=True))
        if new := [pair for pair in dict.fromkeys(pairs) if pair not in self.answers]:
            texts, starts = zip(*new, strict=True)
            answers = self.model.answer(texts, starts if any(starts) else ())
            self.answers |= zip(new, answers, strict=True)
        return [self.answers[pair] for pair in pairs]


class Remote:
    """A model behind an endpoint, with whole prompts as in MAC-SQL.

    It is asked to begin its answer in a certain way, since the API cannot make it do so.
    """

    def __init__(self, client: Any):
        self.client = client  # endpoint.Client
        self.answers: list[Any] = []  # all that it gave so far

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        texts = [
            f"{prompt}\n{BEGIN_WITH}\n{start.strip()}" if start else prompt
            for prompt, start in zip(prompts, beginnings or [""] * len(prompts), strict=True)
        ]
        answers = self.client.answers([[{"role": "user", "content": text}] for text in texts])
        self.answers += answers
        return [Answer(each.text) for each in answers]
