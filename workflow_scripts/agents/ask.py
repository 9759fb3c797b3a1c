"""Ask a SQLite database in words: the agents write SQL, run it read-only and show the rows.

    python -m workflow_scripts.agents.ask shop.sqlite "Which city sells most?" --trace

The exit code is 1 when no SQL that runs was found, 2 when something is wrong with what was given.
With --serve, a page on this machine asks in its place; DATABASE may then be a folder of databases.
"""

import sys
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

from workflow_scripts.agents import show
from workflow_scripts.agents.asking import Asker, UserQuestion, load_back_end, read_loop
from workflow_scripts.agents.loop import read_schema
from workflow_scripts.artifacts.agents import Loop, Trace
from workflow_scripts.files import to_json
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Operand, Option, run_stage


def ask(
    database: Annotated[Path, Operand("a SQLite file; with --serve also a folder of them")],
    question: Annotated[str, Operand("what you want to know, in English")] = "",
    evidence: Annotated[str, Option("what the words of the question mean in the data")] = "",
    model: Annotated[Path | None, Option("folder of a model; the best run of the pipeline")] = None,
    endpoint: Annotated[
        Path | None, Option("a configuration file, whose endpoint answers instead of a model")
    ] = None,
    constrained: Annotated[bool, Option("answers can name only what exists")] = False,
    trace: Annotated[bool, Option("show each agent's step")] = False,
    json: Annotated[bool, Option("print the whole trace as JSON")] = False,
    seconds: Annotated[float, Option("longest query, in processor time")] = Limits.seconds,
    threads: Annotated[int, Option("CPU threads of torch")] = 1,
    serve: Annotated[bool, Option("ask on a page of this machine, until Ctrl-C")] = False,
    port: Annotated[int, Option("of the page; 0: any that is free")] = 8000,
    open: Annotated[bool, Option("open the page in a browser")] = False,
) -> int:
    """Answer one question, or serve a page.

    Raises EssenceError when the database, the question or the model cannot be used.
    """
    limits, loop = Limits(seconds=seconds), read_loop(constrained)
    if serve:
        return _serve(database, model, endpoint, loop, threads, limits, port, open)
    user_question, schema = UserQuestion(question, evidence), read_schema(database)
    back_end = load_back_end(model, endpoint, threads, loop.constrained)
    with Sandbox(limits, workers=1) as sandbox:
        answer = Asker(back_end, loop, sandbox).ask(database, schema, user_question)
    if json:
        print(to_json(answer.model_dump(mode="json")), end="")
    else:
        print("\n".join([*(show.trace_lines(answer) if trace else ()), *show.answer_lines(answer)]))
        _warn_about_unread(answer)
        if not answer.answered and not trace:
            print("note: --trace shows what was tried", file=sys.stderr)
    return 0 if answer.answered else 1


def _serve(
    place: Path,
    model: Path | None,
    endpoint: Path | None,
    loop: Loop,
    threads: int,
    limits: Limits,
    port: int,
    show_it: bool,
) -> int:
    from workflow_scripts.agents import serve

    databases, listener = serve.list_served(place), serve.listen(port)
    with ThreadPoolExecutor(1) as thread, Sandbox(limits, workers=1) as sandbox, listener:
        loading = thread.submit(load_back_end, model, endpoint, threads, loop.constrained)
        back_end = loading.result()
        page = "http://{}:{}".format(*listener.getsockname())
        print(f"{page} asks {len(databases)} database(s); Ctrl-C ends it", flush=True)
        if show_it:
            webbrowser.open(page)
        serve.serve(databases, Asker(back_end, loop, sandbox), thread, listener)
    return 0


def _warn_about_unread(answer: Trace) -> None:
    unread = max(step.unread_tokens for step in answer.steps)
    if unread:
        print(
            f"note: the schema is longer than this model reads ({unread:,} tokens were cut off), "
            "so the answer may miss tables",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run_stage(ask)
