"""The page that asks: whom it lets in, what it offers, many askers at once, and in a browser."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from report_browser import MISSING, Browser
from test_agents_loop import SHOP, Scripted, decomposed, fenced, made

from workflow_scripts.agents import ask as command
from workflow_scripts.agents.asking import Asker
from workflow_scripts.agents.model import Answer
from workflow_scripts.agents.serve import list_served, listen, make_app
from workflow_scripts.artifacts.agents import Loop
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import parse_prompt
from workflow_scripts.sql.sandbox import Sandbox


class Echo:
    """Answers with SQL that returns the question, and notices when it is asked twice at a time."""

    def __init__(self):
        self.busy = threading.Lock()

    def answer(self, prompts, beginnings=()):
        assert self.busy.acquire(blocking=False)
        with contextlib.closing(contextlib.ExitStack()) as after:
            after.callback(self.busy.release)
            return [Answer(decomposed(f"SELECT '{parse_prompt(p).question}'")) for p in prompts]


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("shop", "größe"):
        made(tmp_path / f"{name}.sqlite", SHOP)
    (tmp_path / "secret.txt").write_text("SQLite format 3")
    return tmp_path


@contextlib.contextmanager
def served(folder: Path, back_end, loop: Loop | None = None) -> Iterator[str]:
    """The address of a page that is served by another thread of this process."""
    at = listen(0)
    running = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as thread, Sandbox(workers=1) as sandbox:
        asker = Asker(back_end, loop or Loop(), sandbox)
        runner = web.AppRunner(make_app(list_served(folder), asker, thread, at))
        running.run_until_complete(runner.setup())
        running.run_until_complete(web.SockSite(runner, at).start())
        server = threading.Thread(target=running.run_forever)
        server.start()
        yield "http://{}:{}".format(*at.getsockname())
        asyncio.run_coroutine_threadsafe(runner.cleanup(), running).result(20)
        running.call_soon_threadsafe(running.stop)
        server.join(20)


def request(page: str, method: str, path: str, **more) -> tuple[int, object, dict]:
    async def send():
        async with ClientSession() as client, client.request(method, page + path, **more) as got:
            is_json = got.content_type == "application/json"
            return got.status, await (got.json() if is_json else got.text()), dict(got.headers)

    return asyncio.run(send())


def test_what_it_offers_and_to_whom(folder):
    with served(folder, Echo()) as page:
        port = page.rpartition(":")[2]
        status, text, headers = request(page, "GET", "/")
        assert status == 200 and "<form" in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert request(page, "GET", "/databases")[:2] == (200, ["größe", "shop"])
        for path in ("/secret.txt", "/../page.html", "/shop.sqlite", "/ask"):
            assert request(page, "GET", path)[0] in (404, 405), path
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1"):
            status, found, _ = request(page, "GET", "/databases", headers={"Host": host})
            assert status == 403 and "this machine only" in found["error"]
        asked = {"database": "shop", "question": "hello"}
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}"):
            given = {"json": asked, "headers": {"Origin": origin}}
            assert request(page, "POST", "/ask", **given)[0] == 403, origin
        for origin in (page, f"http://localhost:{port}"):
            given = {"json": asked, "headers": {"Origin": origin}}
            assert request(page, "POST", "/ask", **given)[0] == 200


def test_bad_questions_get_one_message(folder):
    with served(folder, Echo()) as page:
        for given, status, said in (
            ({"json": {"database": "../shop", "question": "?"}}, 400, "no database '../shop'"),
            ({"json": {"database": "shop", "question": " "}}, 400, "the question is empty"),
            ({"json": {"database": "shop", "question": "x" * 3000}}, 400, "3,000 characters"),
            ({"json": {"database": ["shop"], "question": "?"}}, 400, "must be texts"),
            ({"json": [1]}, 400, "no database ''"),
            ({"json": "x" * 200_000}, 413, "Too Large"),
            ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
            ({"data": {"database": "shop", "question": "?"}}, 415, "comes as JSON"),
        ):
            got, found, _ = request(page, "POST", "/ask", **given)
            assert (got, said in found["error"]) == (status, True), found
        (folder / "shop.sqlite").write_text("no longer a database" * 10)
        status, found, _ = request(page, "POST", "/ask", json={"database": "shop", "question": "?"})
        assert status == 400 and "not a SQLite database" in found["error"]


def test_fifty_at_once_neither_mix_nor_hang(folder):
    async def ask_all(page: str) -> list[dict]:
        async with ClientSession() as client:

            async def ask(number: int) -> dict:
                asked = {"database": ("shop", "größe")[number % 2], "question": f"q{number}"}
                async with client.post(page + "/ask", json=asked) as got:
                    return await got.json()

            return await asyncio.wait_for(asyncio.gather(*map(ask, range(50))), 60)

    with served(folder, Echo()) as page:
        traces = asyncio.run(ask_all(page))
    assert [trace["executed"]["rows"] for trace in traces] == [[[f"q{n}"]] for n in range(50)]
    assert [trace["database"] for trace in traces] == ["shop", "größe"] * 25


def test_what_it_cannot_serve(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EssenceError, match="no databases in it"):
        list_served(tmp_path / "empty")
    with pytest.raises(EssenceError, match="no such file"):
        list_served(tmp_path / "nowhere.sqlite")
    assert list_served(folder / "shop.sqlite") == {"shop": folder / "shop.sqlite"}
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EssenceError, match=f"port {port} is in use"):
            command.ask(folder, serve=True, port=port)
    with pytest.raises(EssenceError, match="port 99999 cannot be used"):
        command.ask(folder, serve=True, port=99999)


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_asking_in_a_browser(folder, tmp_path):
    selection = '{"shop": "keep_all", "sale": ["item", "price"]}'
    sql = "SELECT town, NULL, '<b>bold</b>' AS html FROM shop"
    back_end = Scripted(
        Selector=selection,
        Decomposer=decomposed("SELECT twon FROM shop"),
        Refiner=[fenced(sql), "I give up"],
    )
    ask = "document.getElementById('question').value = arguments[0];"
    ask += "document.querySelector('button').click()"
    loop = Loop(selector="always")
    with served(folder, back_end, loop) as page, Browser(tmp_path / "profile") as browser:
        browser.visit(page)
        names = "return [...document.querySelectorAll('option')].map(o => o.text).join()"
        assert browser.wait(names) == "größe,shop"
        browser.script(ask, "Which towns?")
        seen = "return !document.getElementById('answer').hidden && document.body.innerText"
        text = browser.wait(seen)
        order = ["SELECT town, NULL", "2 rows", "Oslo\tNULL\t<b>bold</b>", "Selector"]
        order += ["4 of 10 columns", "Sub-question 1: Which?", "no such column: twon", "Refiner"]
        places = [text.find(words) for words in order]
        assert -1 not in places and places == sorted(places), (order, places, text)
        browser.resize(390, 844)
        wide = "return document.documentElement.scrollWidth > window.innerWidth"
        assert not browser.script(wide)
        browser.script(ask, "Which towns?")
        assert "No answer: the SQL fails (no such column: twon)." in browser.wait(seen)
        assert browser.errors() == []
