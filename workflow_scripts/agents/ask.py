"""Ask a SQLite database in words: the agents write SQL, run it read-only and show the rows.

    python -m workflow_scripts.agents.ask shop.sqlite "Which city sells most?" --trace

The exit code is 1 when no SQL that runs was found, 2 when something given cannot be used. With
--serve a page on this machine asks; DATABASE may then be a folder of databases. The page is for its
user alone: a request must name this address as its host and come from this page, so that no other
site in the same browser gets in.
"""

import contextlib
import functools
import json
import webbrowser
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Lock
from typing import Annotated, Any

import yaml
from pydantic import ValidationError

from workflow_scripts.agents.loop import BackEnd, Loop, Trace, read_question, read_schema, run_loop
from workflow_scripts.agents.model import FineTuned, Remote
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import own_file, to_json
from workflow_scripts.records import Record, parsed
from workflow_scripts.runs import BestRuns, Training
from workflow_scripts.settings import Endpoint, Recipe
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Operand, Option, run_stage

BEST = Path("results/tables/best_runs.json")
LOOPBACK = "127.0.0.1"
LONGEST_REQUEST = 10_000_000  # bytes
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


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
        server.serve(databases, lambda each: answer_question(each, loop, back_end, sandbox))
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


class Sent(Record):
    """A question as the page sends it."""

    database: str
    question: str
    evidence: str = ""


def list_served(place: Path) -> dict[str, Path]:
    """Map names to files: one SQLite file, or all in a folder. Raises EssenceError for none."""
    if not place.is_dir():
        read_schema(place)  # an unusable file is reported before the page opens
        return {place.stem: place}
    databases = dict(list_databases(place))
    if not databases:
        raise EssenceError(f"{place}: no databases in it, neither NAME.sqlite nor NAME/NAME.sqlite")
    return databases


def listen(port: int) -> "PageServer":
    """Listen on loopback (port 0: any free one). Raises EssenceError when that is not possible."""
    try:
        return PageServer((LOOPBACK, port), PageHandler)
    except (OSError, OverflowError) as error:
        raise EssenceError(
            f"port {port} cannot be used ({error}). Give another with --port; 0: any free one."
        ) from error


class PageServer(ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    def serve(self, databases: dict[str, Path], answer: Callable[[Trace], Trace]) -> None:
        """Serve until interrupted. `answer` is called for one question at a time."""
        self.databases, self.answer, self.turn = databases, answer, Lock()
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()


class PageHandler(SimpleHTTPRequestHandler):
    """One request: a file of the page, the names of the databases, or a question."""

    server: PageServer
    timeout = 30  # seconds of silence while a request comes in

    def __init__(self, *args: Any):
        super().__init__(*args, directory=str(Path(__file__).with_name("page")))

    def parse_request(self) -> bool:
        """Read a request, and refuse it where it does not come from this page."""
        if not super().parse_request():
            return False
        length = self.headers.get("Content-Length", "")
        length = int(length) if length.isdecimal() else 0
        self.content = self.rfile.read(min(length, LONGEST_REQUEST))  # else none hears an answer
        host = self.headers.get("Host")
        origin = self.headers.get("Origin", f"http://{host}").removeprefix("http://")
        port = self.server.server_address[1]
        if {host, origin} <= {f"{LOOPBACK}:{port}", f"localhost:{port}"}:
            return True
        self.send_error(403, "this page answers on this machine only, and no page of another site")
        return False

    def do_GET(self) -> None:
        if self.path == "/databases":
            self._send_json(200, sorted(self.server.databases))
        else:
            super().do_GET()

    def do_POST(self) -> None:
        try:
            self._send_json(200, self._answer().as_json())
        except ValidationError as error:
            self.send_error(400, f"the question cannot be read: {error.errors()[0]['msg']}")
        except EssenceError as error:
            self.send_error(400, str(error))

    def _answer(self) -> Trace:
        sent = Sent.model_validate_json(self.content)
        database = self.server.databases.get(sent.database)
        if not database:
            raise EssenceError(f"there is no database {sent.database!r:.60} here")
        with self.server.turn:
            return self.server.answer(read_question(database, sent.question, sent.evidence))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the page can show, also where the library refuses a request."""
        self._send_json(code, {"error": message or self.responses[code][0]})

    def _send_json(self, code: int, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing: questions are their user's own."""


if __name__ == "__main__":
    run_stage(ask)
