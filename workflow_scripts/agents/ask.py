"""Ask a SQLite database in words: the agents write SQL, run it read-only and show the rows.

    python -m workflow_scripts.agents.ask shop.sqlite "Which city sells most?" --trace

The exit code is 1 when no SQL that runs was found, 2 when something given cannot be used. With
--serve a page on this machine asks (serve.py); DATABASE may then be a folder of databases.
"""

import functools
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import yaml

from workflow_scripts.agents.loop import BackEnd, Loop, Trace, read_question, run_loop
from workflow_scripts.agents.model import FineTuned, Remote
from workflow_scripts.agents.serve import list_served, listen
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import own_file, to_json
from workflow_scripts.records import parsed
from workflow_scripts.runs import BestRuns, Training
from workflow_scripts.settings import Endpoint, Recipe
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Operand, Option, run_stage

BEST = Path("results/tables/best_runs.json")


def ask(
    database: Annotated[Path, Operand("a SQLite file; with --serve also a folder of them")],
    question: Annotated[str, Operand("what you want to know, in English")] = "",
    evidence: Annotated[str, Option("what the words of the question mean in the data")] = "",
    model: Annotated[Path | None, Option("folder of a model; the best run of the pipeline")] = None,
    endpoint: Annotated[
        Path | None, Option("a configuration file, whose endpoint answers instead of a model")
    ] = None,
    constrained: Annotated[
        bool, Option("answers keep to a form, and to names of the schema that is shown")
    ] = False,
    trace: Annotated[bool, Option("show each agent's step")] = False,
    json: Annotated[bool, Option("print the whole trace as JSON")] = False,
    seconds: Annotated[float, Option("longest query, in processor time")] = Limits.seconds,
    threads: Annotated[int, Option("CPU threads of torch")] = 1,
    serve: Annotated[bool, Option("ask on a page of this machine, until Ctrl-C")] = False,
    port: Annotated[int, Option("of the page; 0: any that is free")] = 8000,
    open: Annotated[bool, Option("open the page in a browser")] = False,
) -> int:
    """Raises EssenceError when the database, the question or the model cannot be used."""
    loop = Loop(**_config()["agents"])
    loop = loop.model_copy(update={"constrained": constrained or loop.constrained})
    load = functools.partial(load_back_end, model, endpoint, threads, loop.constrained)
    sandbox = Sandbox(Limits(seconds=seconds))
    if not serve:
        first = read_question(database, question, evidence)
        answer = answer_question(first, loop, load(), sandbox)
        print(to_json(answer.as_json()) if json else answer.as_text(trace), end="")
        return 0 if answer.answered else 1
    databases = list_served(database)
    with listen(port) as server:  # before the model is loaded, which takes its time
        back_end = load()
        address = "http://{}:{}".format(*server.server_address)
        print(f"{address} asks {len(databases)} database(s); Ctrl-C ends it", flush=True)
        if open:
            webbrowser.open(address)
        answer = functools.partial(answer_question, loop=loop, back_end=back_end, sandbox=sandbox)
        server.serve(databases, answer, sandbox.execute)
    return 0


def answer_question(question: Trace, loop: Loop, back_end: BackEnd, sandbox: Sandbox) -> Trace:
    """Have the agents answer one question."""
    question.loop = loop
    return run_loop([question], back_end, sandbox.run)[0]


@functools.cache
def _config() -> dict[str, Any]:
    return yaml.safe_load(own_file("config.yaml").read_text(encoding="utf-8"))


def load_back_end(
    folder: Path | None, endpoint: Path | None, threads: int, constrained: bool = False
) -> BackEnd:
    """Load the model in a folder, or the endpoint of a configuration file (never constrained)."""
    if endpoint:
        from workflow_scripts.endpoint import Client

        if constrained:
            raise EssenceError("an endpoint cannot be constrained: leave --constrained out")
        settings = read_endpoint(endpoint)
        return Remote(Client(settings, Path(settings.folder)))
    path, recipe = find_model(folder)
    import torch

    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return FineTuned(path, recipe, device, constrained=constrained)


def find_model(folder: Path | None) -> tuple[Path, Recipe]:
    """Find the folder of a model (None: the best run's) and the recipe of its prompts.

    A model outside a run has the recipe that config.yaml names for the agents. Raises EssenceError.
    """
    from workflow_scripts.model.load import check_base  # with transformers: a second

    name = _config()["agents"]["recipe"]
    if folder is None:
        best = BestRuns.read(BEST).recipes.get(name) if BEST.is_file() else None
        if best is None:
            raise EssenceError(
                f"no model to ask: {BEST} with a run of the recipe {name}, which config.yaml names "
                "for the agents, is missing. Run `make` here first, or give the folder of a model "
                "with --model."
            )
        folder = Path(f"results/runs/{best.recipe}/{best.run}/seed{best.seed}/model")
    elif (folder / "model" / "config.json").is_file():
        folder = folder / "model"
    check_base(folder)
    training = folder.parent / "training.json"
    if training.is_file():
        return folder, Training.read(training).settings.recipe
    settings = _config()["recipes"][name]
    values = {key: settings[key] for key in Recipe.model_fields if key in settings}
    return folder, parsed(Recipe, {"name": name, **values}, f"config.yaml: recipes.{name}")


def read_endpoint(file: Path) -> Endpoint:
    """Read the only endpoint of a configuration file. Raises EssenceError for none or several."""
    try:
        models = yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
        [(name, model)] = [each for each in models.items() if "endpoint" in (each[1] or ())]
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        raise EssenceError(
            f"{file}: no configuration file with one endpoint under `models:` ({error})"
        ) from error
    return parsed(Endpoint, {"name": name, **model["endpoint"]}, f"{file}: models.{name}.endpoint")


if __name__ == "__main__":
    run_stage(ask)
