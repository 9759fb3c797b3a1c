"""The page that asks: whom it lets in, what it offers, many askers at once, and in a browser."""

import contextlib
import functools
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from material import made_database
from report_browser import MISSING, Browser
from test_agents_loop import SHOP, Scripted, decomposed, fenced

from workflow_scripts.agents import ask as command
from workflow_scripts.agents.ask import answer_question
from workflow_scripts.agents.loop import Loop
from workflow_scripts.agents.serve import list_served, listen
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


class Short(Scripted):
    """Does not read its prompts to the end."""

    def _next(self, prompt):
        return super()._next(prompt)._replace(unread_tokens=1234)


class Slow(Echo):
    """Answers once it may go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def answer(self, prompts, beginnings):
        self.begun.set()
        assert self.go_on.wait(20)
        return super().answer(prompts, beginnings)


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
        sandbox = Sandbox()
        answer = functools.partial(
            answer_question, loop=loop or Loop(), back_end=back_end, sandbox=sandbox
        )
        served = (list_served(folder), answer, sandbox.execute)
        thread = threading.Thread(target=server.serve, args=served)
        thread.start()
        try:
            yield "127.0.0.1:{1}".format(*server.server_address)
        finally:
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
        answer = json.loads(text.splitlines()[-1]) if kind == "application/json" else text
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
        answer = request(page, "POST", "/run", {"database": "shop", "sql": " "})
        assert answer[0] == 200 and "no SQL to run" in answer[1]["error"]
        assert request(page, "POST", "/elsewhere", {"database": "shop"})[0] == 404
        (folder / "shop.sqlite").write_text("no longer a database" * 10)
        answer = request(page, "POST", "/ask", {"database": "shop", "question": "?"})
        assert answer[:2] == (400, {"error": "shop: not a SQLite database, or an encrypted one."})
        (folder / "shop.sqlite").unlink()
        answer = request(page, "POST", "/run", {"database": "shop", "sql": "SELECT 1"})
        assert answer[1]["error"] == "shop: No such file or directory"


def test_who_sends_half_a_request_keeps_no_one_out(folder):
    with served(folder, Echo()) as page, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", int(page.rpartition(":")[2]))
        for _ in range(300):
            half = stack.enter_context(socket.create_connection(address))
            half.sendall(b"POST /ask HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert request(page, "POST", "/ask", {"database": "shop", "question": "?"})[0] == 200


def test_a_fault_of_the_programs_is_an_answer_and_stops_nothing(folder, capsys):
    question = {"database": "shop", "question": "?"}
    with served(folder, Scripted()) as page:  # a KeyError for each question
        for _ in range(2):
            status, answer, _ = request(page, "POST", "/ask", question)
            assert status == 500 and "the program failed" in answer["error"]
    assert "KeyError: 'Decomposer'" in capsys.readouterr().err


def test_who_has_gone_is_not_answered_and_nothing_is_said_of_it(folder, capsys):
    back_end = Slow()
    with served(folder, back_end) as page, ThreadPoolExecutor(2) as threads:
        ask = [{"database": "shop", "question": text} for text in ("first", "gone", "last")]
        first = threads.submit(request, page, "POST", "/ask", ask[0])
        assert back_end.begun.wait(20)
        gone = http.client.HTTPConnection(page, timeout=20)
        gone.request("POST", "/ask", json.dumps(ask[1]))
        assert json.loads(gone.getresponse().readline()) == {"ahead": 1}
        last = threads.submit(request, page, "POST", "/ask", ask[2])
        gone.close()
        back_end.go_on.set()
        assert [each.result(20)[0] for each in (first, last)] == [200, 200]
    assert [prompt.question for prompt in back_end.asked] == ["first", "last"]
    assert capsys.readouterr().err == ""


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


ASK = "document.getElementById('question').value = arguments[0];"
ASK += "document.getElementById('ask').click()"
SEEN = "return !document.getElementById('answer').hidden && document.body.innerText"
TYPE = "const node = document.querySelector(arguments[0]); node.value = arguments[1];"
TYPE += "node.dispatchEvent(new Event('input', { bubbles: true }))"
CLICK = "document.querySelector(arguments[0]).click()"
TEXT = "return document.querySelector(arguments[0]).innerText"
HAS = "return document.body.innerText.includes(arguments[0])"
WIDE = "return document.documentElement.scrollWidth > window.innerWidth"
TAB, ENTER, CONTROL = "\ue004", "\ue007", "\ue009"

in_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


@pytest.fixture
def browse(folder, tmp_path):
    """Open the page that a back end answers in a browser."""
    with contextlib.ExitStack() as stack:

        def browse(back_end, loop: Loop | None = None) -> Browser:
            page = stack.enter_context(served(folder, back_end, loop))
            browser = stack.enter_context(Browser(tmp_path / "profile"))
            browser.page = f"http://{page}"
            browser.visit(browser.page)
            browser.wait("return document.querySelector('#schema details') !== null")
            return browser

        yield browse


def saved(browser: Browser, folder: Path, kind: str) -> str:
    """Download the rows and return the file, which is removed."""
    browser.script(CLICK, f"[data-kind={kind}]")
    file = folder / "saved" / f"größe.{kind}"
    for _ in range(100):
        if file.is_file() and file.stat().st_size:
            break
        time.sleep(0.1)
    content = file.read_bytes().decode()
    file.unlink()
    return content


class TestInABrowser:
    pytestmark = in_browser

    def test_asking(self, browse):
        selection = '{"shop": "keep_all", "sale": ["item", "price"]}'
        sql = "SELECT town, NULL, '<b>bold</b>' AS html FROM shop"
        answers = {"Decomposer": decomposed("SELECT twon FROM shop")}
        back_end = Short(Selector=selection, Refiner=[fenced(sql), "I give up"], **answers)
        browser = browse(back_end, Loop(selector="always"))
        names = "return [...document.querySelectorAll('option')].map(o => o.text).join()"
        assert browser.script(names) == "größe,shop"
        browser.script(ASK, "Which towns?")
        browser.wait(SEEN)
        browser.script(CLICK, "#trace summary")
        browser.script("document.getElementById('past').hidden = true")
        text = browser.script(SEEN)
        order = ["2 rows", "Oslo\tNULL\t<b>bold</b>", "SQL that runs can still be wrong"]
        order += ["(1,234 tokens were cut off)"]
        order += ["Selector", "4 of 10 columns", "Sub-question 1: Which?"]
        order += ["no such column: twon", "Refiner"]
        places = [text.find(words) for words in order]
        assert -1 not in places and places == sorted(places), (order, places, text)
        assert browser.script("return document.getElementById('sql').value") == sql
        assert browser.script("return document.activeElement.innerText") == "Answer"
        labelled = "return [...document.querySelectorAll('input, select, textarea')]"
        assert browser.script(labelled + ".every(n => n.labels.length === 1)")
        browser.resize(390, 844)
        assert not browser.script(WIDE)
        browser.script(ASK, "Which towns then?")
        browser.wait(HAS, "The SQL fails: no such column: twon.")
        assert not browser.script(HAS, "can still be wrong")
        assert browser.script("return document.activeElement.innerText") == "No answer"
        assert not browser.script(WIDE) and browser.errors() == []

    def test_the_schema_stands_beside_the_question_with_an_example(self, browse, folder):
        many = "".join(f"CREATE TABLE t{n} (a{n} TEXT);" for n in range(100))
        made_database(folder / "a_wide.sqlite", f"CREATE TABLE city (x); {many}")
        browser = browse(Echo())
        assert "How many cities are there?" in browser.script(TEXT, "#example")
        assert browser.script(TEXT, "#tables") == "101 tables"
        closed = "return document.querySelectorAll('#schema details[open]').length"
        shown = "return [...document.querySelectorAll('#schema details')].filter(d => !d.hidden)"
        shown += ".map(d => d.querySelector('summary').innerText).join()"
        assert browser.script(closed) == 0
        browser.script(TYPE, "#filter input", " A42 ")
        assert browser.script(shown) == "t42 (1 column)"
        choose = "const node = document.getElementById('database'); node.value = 'shop';"
        browser.script(choose + "node.dispatchEvent(new Event('change'))")
        browser.wait("return document.querySelectorAll('#schema details').length === 2")
        assert browser.script(closed) == 2 and not browser.script(HAS, "Show names")
        assert "town: Oslo, Rome" in browser.script(TEXT, "#schema")
        browser.script(CLICK, "#example button")
        browser.type(ENTER)
        browser.wait(HAS, "1 row")
        assert "How many shops are there?" in browser.script(TEXT, "#rows")

    def test_sql_is_changed_and_run_again_under_the_same_guard_by_the_keyboard_alone(self, browse):
        browser = browse(Scripted(Decomposer="what?"))
        browser.type(TAB + TAB + " " + ENTER)
        assert browser.script(TEXT, "#status") == "Write a question first."
        browser.type("Which towns?" + ENTER)
        browser.wait(HAS, "The model wrote no SQL. You can write it yourself.")
        browser.type(TAB + "DROP TABLE shop")
        browser.type(ENTER, hold=CONTROL)
        browser.wait(HAS, "only SELECT may run here, not DROP")
        browser.type(TAB)
        browser.type("a", hold=CONTROL)
        browser.type("SELECT town FROM shop" + TAB + ENTER)
        assert browser.wait(HAS, "2 rows") and browser.script(HAS, "Which towns? (größe)")
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert browser.script("return document.activeElement.id") == "outcome"
        assert browser.script(outline) == "solid"

    def test_rows_are_saved_as_they_are_all_of_them(self, browse, tmp_path):
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000)"
        sql = "SELECT NULL AS a, '' AS \"b,c\", 'x\"y' AS d, 9007199254740993 AS e, x'00ff' AS f"
        browser = browse(
            Scripted(Decomposer=[decomposed(sql), decomposed(f"{numbers} SELECT * FROM n")])
        )
        browser.save_to(tmp_path / "saved")
        browser.script(ASK, "Which?")
        browser.wait(HAS, "9007199254740993")
        csv, text = saved(browser, tmp_path, "csv"), saved(browser, tmp_path, "json")
        assert csv == 'a,"b,c",d,e,f\r\n,"","x""y",9007199254740993,x\'00ff\'\r\n'
        content = json.loads(text)
        assert content["columns"] == ["a", "b,c", "d", "e", "f"] and content["sql"] == sql
        assert content["rows"] == [[None, "", 'x"y', "9007199254740993", {"hex": "00ff"}]]
        browser.script(ASK, "How many?")
        browser.wait(HAS, "3,000 rows, the first 100 of them shown")
        assert saved(browser, tmp_path, "csv").splitlines()[1::2999] == ["1", "3000"]
        assert browser.errors() == []

    def test_a_label_and_a_number_in_each_row_are_drawn(self, browse):
        pairs = "SELECT item, price - 4.5 AS more FROM sale"
        browser = browse(Scripted(Decomposer=[decomposed(pairs), decomposed("SELECT 1, 2, 3")]))
        browser.script(ASK, "How much?")
        browser.wait("return !document.getElementById('chart').hidden")
        assert browser.script("return document.querySelector('svg').ariaLabel") == (
            "Bar chart: more for each item"
        )
        boxes = "return [...document.querySelectorAll('svg rect')].map(r =>"
        boxes += "[Number(r.getAttribute('x')), Number(r.getAttribute('width'))])"
        (hat, width), (cap, same) = browser.script(boxes)
        assert width == pytest.approx(same) and hat == pytest.approx(cap + same), "about zero"
        texts = browser.script(
            "return [...document.querySelectorAll('svg text')].map(t => t.textContent)"
        )
        assert texts == ["item", "hat", "0.5", "cap", "-0.5", "-0.5", "0", "0.5", "more"]
        browser.script(ASK, "How many?")
        browser.wait("return document.getElementById('chart').hidden")

    def test_what_was_asked_is_kept_until_it_is_cleared(self, browse):
        browser = browse(Scripted(Decomposer=decomposed("SELECT town FROM shop")))
        browser.script(ASK, "Which towns?")
        browser.wait(HAS, "2 rows")
        browser.visit(browser.page)
        browser.wait(HAS, "Asked before")
        browser.script(CLICK, "#past li button")
        browser.wait(HAS, "Oslo")
        kept = "return document.querySelectorAll('#past li').length"
        assert browser.script(kept) == 1, "asked twice, kept once"
        browser.script(CLICK, "#clear")
        browser.visit(browser.page)
        browser.wait("return document.querySelector('option') !== null")
        assert not browser.script(HAS, "Asked before")

    def test_a_waiting_question_shows_its_place_and_can_be_cancelled(self, browse):
        back_end = Slow()
        browser = browse(back_end)
        page = browser.page.removeprefix("http://")
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(
                request, page, "POST", "/ask", {"database": "shop", "question": "first"}
            )
            assert back_end.begun.wait(20)
            browser.script(ASK, "second")
            browser.wait(HAS, "Waiting: 1 question before this one")
            assert browser.script("return document.activeElement.id") == "cancel"
            browser.script(CLICK, "#cancel")
            browser.wait(HAS, "Cancelled.")
            back_end.go_on.set()
            assert first.result(20)[0] == 200
        browser.script(ASK, "third")
        browser.wait(HAS, "1 row")
        assert [prompt.question for prompt in back_end.asked] == ["first", "third"]
