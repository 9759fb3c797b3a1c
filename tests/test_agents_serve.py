"""The page that asks: whom it lets in, what it offers, many askers at once, and in a browser."""

import contextlib
import functools
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from material import made_database
from report_browser import MISSING, Browser
from test_agents_loop import SHOP, Scripted, decomposed, fenced

from workflow_scripts.agents import ask as command
from workflow_scripts.agents.ask import answer_question, list_served, listen
from workflow_scripts.agents.loop import Loop
from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.sandbox import Sandbox


class Echo(Scripted):
    """Answers with SQL that returns the question, and notices when it is asked twice at a time."""

    def __init__(self):
        super().__init__(Decomposer=decomposed("SELECT 'QUESTION'"))
        self.busy = threading.Lock()

    def answer(self, prompts, beginnings):
        assert self.busy.acquire(blocking=False)
        try:
            return super().answer(prompts, beginnings)
        finally:
            self.busy.release()


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("shop", "größe"):
        made_database(tmp_path / f"{name}.sqlite", SHOP)
    (tmp_path / "secret.txt").write_text("SQLite format 3")
    return tmp_path


@contextlib.contextmanager
def served(folder: Path, back_end, loop: Loop | None = None) -> Iterator[str]:
    """The address of a page that is served by another thread of this process."""
    with listen(0) as server:
        answer = functools.partial(
            answer_question, loop=loop or Loop(), back_end=back_end, sandbox=Sandbox()
        )
        thread = threading.Thread(target=server.serve, args=(list_served(folder), answer))
        thread.start()
        yield "127.0.0.1:{1}".format(*server.server_address)
        server.shutdown()
        thread.join(20)


def request(page: str, method: str, path: str, content=None, **headers) -> tuple[int, object, dict]:
    """Send a request, JSON unless it is given as bytes: (status, JSON or text, headers)."""
    connection = http.client.HTTPConnection(page, timeout=60)
    if content is not None and not isinstance(content, bytes):
        content = json.dumps(content).encode()
    headers = {"Content-Type": "application/json", **headers}
    with contextlib.closing(connection):
        connection.request(method, path, content, headers)
        response = connection.getresponse()
        text, kind = response.read().decode(), response.headers.get_content_type()
        answer = json.loads(text) if kind == "application/json" else text
        return response.status, answer, dict(response.headers)


def test_what_it_offers_and_to_whom(folder):
    question = {"database": "shop", "question": "hello"}
    with served(folder, Echo()) as page:
        port = page.rpartition(":")[2]
        status, text, headers = request(page, "GET", "/")
        assert status == 200 and "<form" in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert request(page, "GET", "/databases")[:2] == (200, ["größe", "shop"])
        for path in ("/secret.txt", "/../page.html", "/shop.sqlite", "/ask"):
            assert request(page, "GET", path)[0] == 404, path
        assert request(page, "PUT", "/ask", question)[0] == 501
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1:1"):
            status, answer, headers = request(page, "GET", "/databases", Host=host)
            assert status == 403 and "this machine only" in answer["error"]
            assert "Content-Security-Policy" in headers
            assert request(page, "POST", "/ask", question, Host=host)[0] == 403
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}"):
            assert request(page, "POST", "/ask", question, Origin=origin)[0] == 403, origin
        for origin in (f"http://{page}", f"http://localhost:{port}"):
            assert request(page, "POST", "/ask", question, Origin=origin)[0] == 200, origin


def test_bad_questions_get_one_message(folder):
    with served(folder, Echo()) as page:
        for content, status, message in (
            ({"database": "../shop", "question": "?"}, 400, "no database '../shop'"),
            ({"database": "shop", "question": " "}, 400, "the question is empty"),
            ({"database": "shop", "question": "x" * 3000}, 400, "3,000 characters"),
            ({"database": ["shop"], "question": "?"}, 400, "a valid string"),
            ([1], 400, "cannot be read"),
            ("x" * 5_000_000, 400, "cannot be read"),
            (b"{", 400, "Invalid JSON"),
            (b"\xff", 400, "Invalid JSON"),
            (b"[" * 90_000, 400, "Invalid JSON"),
        ):
            answer = request(page, "POST", "/ask", content)
            assert (answer[0], message in answer[1]["error"]) == (status, True), answer
        assert request(page, "POST", "/ask", b"database=shop")[0] == 400
        (folder / "shop.sqlite").write_text("no longer a database" * 10)
        answer = request(page, "POST", "/ask", {"database": "shop", "question": "?"})
        assert answer[0] == 400 and "not a SQLite database" in answer[1]["error"]


def test_thirty_at_once_neither_mix_nor_hang(folder):
    def ask(number: int) -> dict:
        database = ("shop", "größe")[number % 2]
        return request(page, "POST", "/ask", {"database": database, "question": f"q{number}"})[1]

    with served(folder, Echo()) as page, ThreadPoolExecutor(30) as threads:
        traces = list(threads.map(ask, range(30), timeout=60))
    assert [trace["executed"]["rows"] for trace in traces] == [[[f"q{n}"]] for n in range(30)]
    assert [trace["database"] for trace in traces] == ["shop", "größe"] * 15


def test_what_it_cannot_serve(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EssenceError, match="no databases in it"):
        list_served(tmp_path / "empty")
    with pytest.raises(EssenceError, match="no such file"):
        list_served(tmp_path / "nowhere.sqlite")
    assert list_served(folder / "shop.sqlite") == {"shop": folder / "shop.sqlite"}
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EssenceError, match=f"port {port} cannot be used .*in use"):
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
        browser.visit(f"http://{page}")
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
