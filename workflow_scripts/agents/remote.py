"""A model behind an endpoint in the agents' place: asked with whole prompts, as MAC-SQL asks it."""

from collections.abc import Sequence

from workflow_scripts.agents.model import Answer
from workflow_scripts.endpoint import Answered, Client

BEGIN_WITH = "Begin your answer with exactly these lines, and go on from there:"


class Remote:
    """The API has no way to make an answer begin in a certain way, so the model is told to."""

    def __init__(self, client: Client):
        self.client = client
        self.answered: list[Answered] = []  # all that was asked so far

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        texts = [
            f"{prompt}\n{BEGIN_WITH}\n{start.strip()}" if start else prompt
            for prompt, start in zip(prompts, beginnings or [""] * len(prompts), strict=True)
        ]
        answers = self.client.answers([[{"role": "user", "content": text}] for text in texts])
        self.answered += answers
        return [Answer(each.text) for each in answers]
