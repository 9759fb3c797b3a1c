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
    """Answers with SQL that returns the question, one at a time, once it may go on."""

    def __init__(self):
        super().__init__(Decomposer=decomposed("SELECT 'QUESTION'"))
        self.busy, self.go_on = threading.Lock(), threading.Event()
        self.go_on.set()

    def answer(self, prompts, beginnings):
        assert self.busy.acquire(blocking=False)
        try:
            assert self.go_on.wait(20)
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
        given = {"loop": loop or Loop(), "back_end": back_end, "sandbox": Sandbox()}
        answer = functools.partial(answer_question, **given)
        served = (list_served(folder), answer, Sandbox().execute)
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
        ask = functools.partial(request, page, "POST", "/ask")
        for content, message in (
            ({"database": "../shop", "question": "?"}, "no database '../shop'"),
            ({"database": "shop", "question": " "}, "the question is empty"),
            ({"database": "shop", "question": "x" * 3000}, "3,000 characters"),
            ({"database": ["shop"], "question": "?"}, "a valid string"),
            ("x" * 5_000_000, "cannot be read"),
            (b"\xff", "Invalid JSON"),
            (b"[" * 90_000, "Invalid JSON"),
        ):
            status, answer, _ = ask(content)
            assert status == 400 and message in answer["error"], answer
        assert request(page, "POST", "/elsewhere", {"database": "shop"})[0] == 404
        (folder / "shop.sqlite").write_text("no longer a database" * 10)
        _, answer, _ = ask({"database": "shop", "question": "?"})
        assert answer == {"error": "shop: not a SQLite database, or an encrypted one."}
        (folder / "shop.sqlite").unlink()
        _, answer, _ = request(page, "POST", "/run", {"database": "shop", "sql": "SELECT 1"})
        assert answer["error"] == "shop: No such file or directory"


def test_a_fault_of_the_programs_is_an_answer_and_stops_nothing(folder, capsys):
    question = {"database": "shop", "question": "?"}
    with served(folder, Scripted()) as page:  # a KeyError for each question
        for _ in range(2):
            status, answer, _ = request(page, "POST", "/ask", question)
            assert status == 500 and "the program failed" in answer["error"]
    assert "KeyError: 'Decomposer'" in capsys.readouterr().err


def test_thirty_at_once_neither_mix_nor_hang(folder):
    """Nor do those who send half a request keep anyone out."""

    def ask(number: int) -> dict:
        database = ("shop", "größe")[number % 2]
        return request(page, "POST", "/ask", {"database": database, "question": f"q{number}"})[1]

    with contextlib.ExitStack() as stack:
        page = stack.enter_context(served(folder, Echo()))
        for _ in range(300):
            address = ("127.0.0.1", int(page.rpartition(":")[2]))
            half = stack.enter_context(socket.create_connection(address))
            half.sendall(b"POST /ask HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        threads = stack.enter_context(ThreadPoolExecutor(30))
        traces = list(threads.map(ask, range(30), timeout=60))
    assert [trace["executed"]["rows"] for trace in traces] == [[[f"q{n}"]] for n in range(30)]
    assert [trace["database"] for trace in traces] == ["shop", "größe"] * 15


def test_what_it_cannot_serve(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert list_served(folder / "shop.sqlite") == {"shop": folder / "shop.sqlite"}
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        for place, port, message in (
            (tmp_path / "empty", 0, "no databases in it"),
            (tmp_path / "nowhere.sqlite", 0, "no such file"),
            (folder, taken, f"port {taken} cannot be used .*in use"),
            (folder, 99999, "port 99999 cannot be used"),
        ):
            with pytest.raises(EssenceError, match=message):
                command.ask(place, serve=True, port=port)


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


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
class TestInABrowser:
    def test_asking(self, browse):
        sql = "SELECT town, NULL, '<b>bold</b>' AS html FROM shop"
        back_end = Scripted(
            Selector='{"shop": "keep_all", "sale": ["item", "price"]}',
            Decomposer=decomposed("SELECT twon FROM shop"),
            Refiner=[fenced(sql), "I give up"],
        )
        back_end.unread_tokens = 1234
        browser = browse(back_end, Loop(selector="always"))
        browser.script(ASK, "Which towns?")
        browser.wait(SEEN)
        browser.script(CLICK, "#trace summary")
        browser.script("document.getElementById('past').hidden = true")
        text = browser.script(SEEN)
        order = ["2 rows", "Oslo\tNULL\t<b>bold</b>", "SQL that runs can still be wrong"]
        order += ["(1,234 tokens were cut off)", "Selector", "4 of 10 columns"]
        order += ["Sub-question 1: Which?", "no such column: twon", "Refiner"]
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
        names = "return [...document.querySelectorAll('option')].map(o => o.text).join()"
        assert browser.script(names) == "a_wide,größe,shop"
        assert "How many cities are there?" in browser.script(TEXT, "#example")
        assert browser.script(TEXT, "#tables") == "101 tables"
        closed = "return document.querySelectorAll('#schema details[open]').length"
        assert browser.script(closed) == 0
        browser.script(TYPE, "#filter input", " A42 ")
        lines = browser.script(TEXT, "#schema").split("\n")
        assert [each for each in lines if "column" in each] == ["t42 (1 column)"]
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

    def test_what_comes_back_is_saved_drawn_and_kept_until_it_is_cleared(self, browse, tmp_path):
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000)"
        sql = "SELECT NULL AS a, '' AS \"b,c\", 'x\"y' AS d, 9007199254740993 AS e, x'00ff' AS f"
        pairs = "SELECT item, price - 4.5 AS more FROM sale"
        answers = [sql, f"{numbers} SELECT * FROM n", pairs, "SELECT 1, 2, 3"]
        browser = browse(Scripted(Decomposer=list(map(decomposed, answers))))
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

        browser.script(ASK, "How much?")
        browser.wait("return !document.getElementById('chart').hidden")
        label = browser.script("return document.querySelector('svg').ariaLabel")
        assert label == "Bar chart: more for each item"
        boxes = "return [...document.querySelectorAll('svg rect')].map(r =>"
        boxes += "[Number(r.getAttribute('x')), Number(r.getAttribute('width'))])"
        (hat, width), (cap, same) = browser.script(boxes)
        assert width == pytest.approx(same) and hat == pytest.approx(cap + same), "about zero"
        texts = "return [...document.querySelectorAll('svg text')].map(t => t.textContent)"
        drawn = ["item", "hat", "0.5", "cap", "-0.5", "-0.5", "0", "0.5", "more"]
        assert browser.script(texts) == drawn
        browser.script(ASK, "Which three?")
        browser.wait("return document.getElementById('chart').hidden")

        browser.visit(browser.page)
        browser.wait(HAS, "Asked before")
        kept = "return document.querySelectorAll('#past li').length"
        assert browser.script(kept) == 4
        browser.script(CLICK, "#past li button")
        browser.wait(HAS, "1 row")
        assert browser.script(kept) == 4, "asked twice, kept once"
        browser.script(CLICK, "#clear")
        browser.visit(browser.page)
        browser.wait("return document.querySelector('option') !== null")
        assert not browser.script(HAS, "Asked before") and browser.errors() == []

    def test_who_waits_sees_the_place_and_who_has_gone_is_not_answered(self, browse, capsys):
        back_end = Echo()
        back_end.go_on.clear()
        browser = browse(back_end)
        page = browser.page.removeprefix("http://")
        question = {"database": "shop", "question": "first"}
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(request, page, "POST", "/ask", question)
            while not back_end.busy.locked():
                time.sleep(0.01)
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
        assert capsys.readouterr().err == "", "nothing is said of who has gone"
