"""What an endpoint has cost so far, and whether one more request fits into its budget.

Each attempt is noted before it is sent, with the most that it can cost, and again when it is over,
with what it did cost. An attempt that no second line follows was in flight when its run was killed:
it counts in full, because the server may have charged it.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.artifacts.endpoint import Endpoint
from workflow_scripts.errors import EssenceError


class OverBudget(EssenceError):
    """The next request could pass the budget."""


@dataclass
class Attempt:
    """`cost` is the most that it can cost, until it is known better."""

    cost: float


class Ledger:
    """For one process at a time; without prices it keeps nothing."""

    def __init__(self, path: Path, endpoint: Endpoint):
        self.path, self.endpoint = path, endpoint
        costs = _costs(path)
        self.attempts, self.spent = len(costs), sum(costs.values())
        self.in_flight: dict[int, float] = {}  # attempt -> the most that it can cost
        self.settled = asyncio.Condition()

    @asynccontextmanager
    async def attempt(self, request: bytes) -> AsyncIterator[Attempt]:
        """Around an attempt. Waits for others to end while this one might not fit beside them.

        No tokenizer makes more tokens than there are bytes, so the request's bytes bound its
        tokens. Raises OverBudget when the attempt does not fit even by itself.
        """
        prices = self.endpoint.prices
        worst = prices.of(len(request), self.endpoint.answer_tokens) if prices else 0.0
        async with self.settled:
            while not self._fits(worst):
                if not self.in_flight:
                    raise OverBudget(self._told(worst))
                await self.settled.wait()
            number, self.attempts = self.attempts, self.attempts + 1
            self._note({"attempt": number, "worst": worst})
            self.in_flight[number] = worst
        attempt = Attempt(worst)
        try:
            yield attempt
        finally:
            self._note({"attempt": number, "cost": attempt.cost})
            self.spent += attempt.cost
            del self.in_flight[number]
            async with self.settled:
                self.settled.notify_all()

    def _fits(self, worst: float) -> bool:
        budget = self.endpoint.budget
        return budget is None or self.spent + sum(self.in_flight.values()) + worst <= budget

    def _told(self, worst: float) -> str:
        return (
            f"{self.endpoint.place('budget')} is {self.endpoint.budget:g}, of which "
            f"{self.spent:.4g} is spent; the next request may cost {worst:.2g}. What was answered "
            "is kept: raise the budget and run the same command again."
        )

    def _note(self, line: dict[str, float]) -> None:
        if self.endpoint.prices:
            # The newline comes first: a line that a kill has torn does not spoil the next one.
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(line))


def _costs(path: Path) -> dict[int, float]:
    """Attempt -> what it cost, or the most that it can have cost."""
    costs = {}
    for text in path.read_text(encoding="utf-8").split("\n") if path.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # torn by a kill, before anything was sent or after the first line was kept
        costs[line["attempt"]] = line.get("cost", line.get("worst"))
    return costs
