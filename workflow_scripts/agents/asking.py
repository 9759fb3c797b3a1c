"""One question at a time: which model answers, and what a question may be."""

import functools
import gc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.agents.loop import Question, run_loop
from workflow_scripts.agents.model import BackEnd, FineTuned
from workflow_scripts.artifacts.agents import Loop, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import Schema
from workflow_scripts.records import parsed
from workflow_scripts.runs import BestRuns, Training
from workflow_scripts.settings import Endpoint, Recipe
from workflow_scripts.sql.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
BEST = Path("results/tables/best_runs.json")
LONGEST = 2000  # characters of a question, and of its evidence


@dataclass(frozen=True)
class UserQuestion:
    """A checked question. Raises EssenceError for one that is empty, too long or no UTF-8."""

    question: str
    evidence: str = ""

    def __post_init__(self):
        if not self.question.strip():
            raise EssenceError('the question is empty. Ask one: ask DATABASE "How many ...?"')
        for name, text in vars(self).items():
            if len(text) > LONGEST:
                raise EssenceError(
                    f"the {name} has {len(text):,} characters; at most {LONGEST:,} are read"
                )
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise EssenceError(f"the {name} is not UTF-8 text") from None


class Asker:
    """The agents, loaded to answer questions about any database, in one thread at a time."""

    def __init__(self, back_end: BackEnd, loop: Loop, sandbox: Sandbox):
        self.back_end, self.loop, self.sandbox = back_end, loop, sandbox

    def ask(self, database: Path, schema: Schema, user_question: UserQuestion) -> Trace:
        question = Question(database, schema, user_question.question, user_question.evidence)
        (trace,) = run_loop([question], self.loop, self.back_end, self._execute)
        return trace

    def _execute(self, jobs: list[tuple[Path, str]]) -> list:
        return [self.sandbox.execute(database, sql) for database, sql in jobs]


def find_model(folder: Path | None) -> tuple[Path, Recipe]:
    """Find the folder of the model and the recipe of its prompts.

    Without a folder, the best run of the last pipeline under the recipe that config.yaml names for
    the agents. A run's recipe stands in its training.json; any other model has that recipe too.
    Raises EssenceError when there is no model.
    """
    from workflow_scripts.model.load import check_base  # with transformers: a second

    if folder is None:
        if not BEST.is_file():
            raise EssenceError(
                f"no model to ask: there is no {BEST}. Run `make` here first, or give the folder "
                "of a model with --model."
            )
        best, name = BestRuns.read(BEST).recipes, _config()["agents"]["recipe"]
        if name not in best:
            raise EssenceError(
                f"{BEST} has no run of the recipe {name}, which config.yaml names for the agents. "
                "Give the folder of a model with --model."
            )
        best = best[name]
        folder = Path(f"results/runs/{best.recipe}/{best.run}/seed{best.seed}/model")
    elif (folder / "model" / "config.json").is_file():
        folder = folder / "model"
    check_base(folder)
    training = folder.parent / "training.json"
    recipe = Training.read(training).settings.recipe if training.is_file() else _default_recipe()
    return folder, recipe


def _default_recipe() -> Recipe:
    name = _config()["agents"]["recipe"]
    settings = _config()["recipes"][name]
    own = {key: settings[key] for key in Recipe.model_fields if key in settings}
    return parsed(Recipe, {"name": name, **own}, f"config.yaml: recipes.{name}")


def read_loop(constrained: bool = False) -> Loop:
    """Read the agents' settings from config.yaml; constrained if either says so."""
    loop = Loop.of(_config()["agents"])
    return loop.model_copy(update={"constrained": constrained or loop.constrained})


@functools.cache
def _config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


def load_back_end(
    folder: Path | None, endpoint: Path | None, threads: int, constrained: bool = False
) -> BackEnd:
    """Load the model in a folder, or the endpoint of a configuration file (never constrained).

    Raises EssenceError when there is none or it cannot be used.
    """
    if endpoint is None:
        return load_model(folder, threads, constrained)
    if constrained:
        raise EssenceError(
            f"{endpoint}: an endpoint cannot be constrained. Leave --constrained out."
        )
    from workflow_scripts.agents.remote import Remote
    from workflow_scripts.endpoint import Client

    chosen = _endpoint(endpoint)
    return Remote(Client(chosen, Path(chosen.folder)))


def _endpoint(file: Path) -> Endpoint:
    try:
        models = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("models") or {}
    except (OSError, ValueError, yaml.YAMLError, AttributeError) as error:
        raise EssenceError(f"{file}: no configuration file ({error})") from error
    named = [name for name, model in models.items() if model and "endpoint" in model]
    if len(named) != 1:
        raise EssenceError(
            f"{file}: under `models:` one endpoint is needed, and {len(named)} are there"
        )
    where = f"{file}: models.{named[0]}.endpoint"
    return parsed(Endpoint, {"name": named[0], **models[named[0]]["endpoint"]}, where)


def load_model(folder: Path | None, threads: int, constrained: bool = False) -> FineTuned:
    """Load a model. Raises EssenceError when there is none or it cannot be used."""
    # Imports make millions of objects that stay: to look for garbage among them takes a quarter of
    # the time to the first answer.
    gc.disable()
    try:
        path, recipe = find_model(folder)
        import torch

        torch.set_num_threads(threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return FineTuned(path, recipe, device, constrained=constrained)
    finally:
        gc.freeze()
        gc.enable()
