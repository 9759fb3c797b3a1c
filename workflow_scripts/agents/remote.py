"""A model behind an endpoint that acts as the agents, with whole prompts as in MAC-SQL."""

from collections.abc import Sequence

from workflow_scripts.agents.model import Answer
from workflow_scripts.endpoint import Answered, Client

BEGIN_WITH = "Begin your answer with exactly these lines, and go on from there:"


class Remote:
    """Ask the model to begin its answer in a certain way, since the API cannot make it do so."""

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
