"""What a fine-tuning or a prediction is told on its command line (see docs: recipe, run, seed)."""

import json
from dataclasses import dataclass
from typing import Any

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.text.recipes import Recipe

BEST_METRICS = ("eval_loss", "loss_per_token")  # what the best epoch can be chosen by
LONGEST_WINDOW = 50  # steps between two looks at the loss: a run that broke must not go on


@dataclass(frozen=True)
class Settings:
    """One fine-tuning: `whole` is the JSON as given, the other fields are read from it."""

    whole: dict[str, Any]
    recipe: Recipe
    run: dict[str, Any]
    training: dict[str, Any]
    seed: int
    device: str
    precision: str

    @classmethod
    def parse(cls, text: str) -> "Settings":
        """Read settings from JSON text, or from the file it names.

        Raises EssenceError naming the key that is missing.
        """
        whole = json.loads(text) if text.lstrip().startswith("{") else read_json(text)
        try:
            metric = whole["training"]["best_metric"]
            if metric not in BEST_METRICS:
                raise EssenceError(
                    f"training.best_metric is {metric!r}; one of {', '.join(BEST_METRICS)} "
                    "belongs here"
                )
            return cls(
                whole=whole,
                recipe=Recipe.from_settings(whole["recipe"]),
                run=whole["run"],
                training=whole["training"],
                seed=whole["seed"],
                device=whole["device"],
                precision=whole["precision"],
            )
        except KeyError as error:
            raise EssenceError(f"--settings: key {error} is missing; see config.yaml") from error

    @property
    def learning_rate(self) -> float:
        return self.run["learning_rate"] * self.training["learning_rate_scale"]

    @property
    def log_every(self) -> int:
        return min(self.training["log_every"], LONGEST_WINDOW)
