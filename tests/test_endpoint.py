"""An endpoint that fails in every way: nothing is lost, nothing asked twice, no budget passed."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import served_model
import yaml
from material import ROOT
from served_model import LATE, RETRY_AFTER, Proxy, Server
from test_agents_loop import decomposed

from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.tables import BoundedPrediction, Row
from workflow_scripts.data.rows import row_from
from workflow_scripts.endpoint import Answered, Client, answer_rows, messages_of
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import Prompt, from_source, render_prompt, to_source
from workflow_scripts.settings import Endpoint, Prices

pytestmark = pytest.mark.skipif(bool(served_model.MISSING), reason=served_model.WHY)

KEY, VARIABLE = "sk-do-not-tell-1234567890", "KEY_OF_THE_TESTS"
FAULTS = ("429", "500", "garbage", "another shape", "half", "slow", "dropped")
PRICES = Prices(input=1000, output=2000)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(served_model.make_causal(tmp_path_factory.mktemp("served") / "model"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def shared_proxy(server):
    return Proxy(server.port)


@pytest.fixture
def proxy(shared_proxy, monkeypatch):
    """With a key in the environment, and waits between attempts that a test can afford."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.05)
    monkeypatch.setenv(VARIABLE, KEY)
    shared_proxy.reset()
    return shared_proxy


@pytest.fixture
def endpoint(server, proxy):
    return Endpoint(
        name="tiny",
        base_url=f"http://127.0.0.1:{proxy.port}/v1",
        model=str(server.model),
        key=VARIABLE,
        at_once=2,
        answer_tokens=8,
        timeout=30,
    )


def asked(count, name="question"):
    return [[{"role": "user", "content": f"{name} {place}"}] for place in range(count)]


def once_each(conversations):
    return {messages[-1]["content"]: 1 for messages in conversations}


def changed(endpoint, **settings):
    return endpoint.model_copy(update=settings)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_loses_nothing_and_nothing_is_asked_twice(fault, endpoint, proxy, tmp_path):
    questions = asked(5)
    limited = changed(endpoint, timeout=LATE / 2) if fault == "slow" else endpoint
    proxy.reset(None, fault, fault, None, fault)
    answers = Client(limited, tmp_path / "broken").answers(questions)
    assert proxy.answered == once_each(questions)
    assert len(proxy.attempts) == len(questions) + 3
    lasted = proxy.attempts[-1][1] - proxy.attempts[0][1]
    assert fault != "429" or lasted >= RETRY_AFTER, "the server says how long to wait"
    assert proxy.most_at_once <= endpoint.at_once
    proxy.reset()
    again = Client(limited, tmp_path / "broken").answers(questions[::-1])
    assert again == answers[::-1] and not proxy.attempts, "kept, and in the order that is asked"
    whole = Client(limited, tmp_path / "whole").answers(questions)
    assert [each.text for each in whole] == [each.text for each in answers]


def test_a_server_that_is_killed_and_comes_back(server, endpoint, proxy, tmp_path):
    questions, client = asked(12), Client(changed(endpoint, retries=60), tmp_path)

    def interrupt():
        while sum(proxy.answered.values()) < 3:
            time.sleep(0.01)
        server.kill()
        server.start()

    thread = threading.Thread(target=interrupt)
    thread.start()
    answers = client.answers(questions)
    thread.join()
    assert proxy.answered == once_each(questions)
    assert len(proxy.attempts) > len(questions)
    assert [each.request["messages"] for each in answers] == questions


def test_a_run_that_is_killed_goes_on_where_it_was(endpoint, proxy, tmp_path):
    rows = tmp_path / "rows.parquet"
    write_rows(rows, Row, [row_of(f"Question {place}?", place) for place in range(6)])
    (tmp_path / "endpoint.json").write_text(changed(endpoint, at_once=1).model_dump_json())
    options = {"endpoint": "endpoint.json", "answers": "kept", "out": "out.parquet"}
    options |= {"summary": "answering.json", "test": "rows.parquet"}
    command = [sys.executable, "-m", "workflow_scripts.endpoint"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    while sum(proxy.answered.values()) < 3 and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (tmp_path / "out.parquet").exists()
    kept = len(list((tmp_path / "kept").glob("[!.]*.json")))
    assert 2 <= kept < 6
    proxy.reset()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and f"/{6 - kept} [" in done.stderr
    assert sum(proxy.answered.values()) == 6 - kept
    found = read_rows(BoundedPrediction, tmp_path / "out.parquet")
    assert [each.question for each in found] == [f"Question {place}?" for place in range(6)]
    assert all(each.cut for each in found), "eight tokens end no answer of this model"
    assert KEY not in done.stderr + done.stdout
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    assert proxy.keys == {f"Bearer {KEY}"}


def row_of(question, idx):
    fields = {"schema": "# Table: t\n[\n  (a, a.)\n]", "foreign_keys": "", "evidence": ""}
    prompt = render_prompt(Prompt("Decomposer", None, question, **fields))
    return row_from({"idx": idx, "source": to_source(prompt), "target": decomposed("SELECT 1")}, 1)


def test_the_budget_is_never_passed(endpoint, proxy, tmp_path):
    """Nor by attempts whose answers were lost; more money, and the rest is asked."""
    paid = changed(endpoint, prices=PRICES, budget=1.0, at_once=4, timeout=LATE / 2)
    client = Client(paid, tmp_path)
    proxy.reset(None, "half", "slow", "dropped", "500")
    with pytest.raises(EssenceError, match=r"models\.tiny\.endpoint\.budget is 1, of which"):
        client.answers(asked(20))
    known, spent = len(list(tmp_path.glob("[!.]*.json"))), ledger_of(tmp_path)
    assert 1 < known < 20 and 0.5 < sum(spent) <= 1.0
    billed = sum(
        PRICES.of(each.input_tokens, each.output_tokens)
        for each in map(Answered.read, tmp_path.glob("[!.]*.json"))
    )
    worst = PRICES.of(200, 8)
    assert billed + 2 * worst < sum(spent) < billed + 4 * worst, "three answers were lost"
    with pytest.raises(EssenceError, match="budget"):
        client.answers(asked(20))
    before = sum(proxy.answered.values())
    Client(changed(paid, budget=100), tmp_path).answers(asked(20))
    assert sum(proxy.answered.values()) == 20 > before
    assert set(proxy.answered.values()) == {1}


def ledger_of(folder):
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().split("\n")[1:]]
    return {line["attempt"]: line.get("cost", line.get("worst")) for line in lines}.values()


def test_what_was_in_flight_when_a_run_was_killed_counts_in_full(endpoint, proxy, tmp_path):
    notes = ['{"attempt": 0, "worst": 0.9}', '{"attempt": 0, "cost": 0.1}']
    notes += ['{"attempt": 1, "worst": 0.8}', '{"attempt": 2, "wor']
    (tmp_path / "ledger.jsonl").write_text("\n" + "\n".join(notes))
    client = Client(changed(endpoint, prices=PRICES, budget=0.95), tmp_path)
    with pytest.raises(EssenceError, match=r"is 0\.95, of which 0\.9 is spent"):
        client.answers(asked(1))
    assert not proxy.attempts


def reply(text, finish="stop", usage=None, **more):
    message = {"role": "assistant", "content": text, **more}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})


def predictions(endpoint, folder, rows):
    """Of `answer_rows`, and the summary of what they took."""
    write_rows(folder / "rows.parquet", Row, rows)
    out, summary = folder / "out.parquet", folder / "answering.json"
    answer_rows(endpoint, folder / "kept", out, summary, test=folder / "rows.parquet")
    return read_rows(BoundedPrediction, out), json.loads(summary.read_text())


@pytest.mark.parametrize(
    ("sent", "text", "kind", "cut"),
    [
        (reply("SELECT 1"), "SELECT 1", "stop", False),
        (reply("SEL", "length"), "SEL", "length", True),
        (reply(""), "", "empty", False),
        (reply(None), "", "empty", False),
        (reply(None, refusal="I will not."), "I will not.", "refusal", True),
        (reply(None, "content_filter"), "", "content_filter", True),
    ],
)
def test_how_an_answer_ended_is_kept(sent, text, kind, cut, endpoint, proxy, tmp_path):
    proxy.reset(sent)
    (found,), summary = predictions(endpoint, tmp_path, [row_of("How many?", 1)])
    assert (found.prediction, found.cut, found.gold) == (text, cut, decomposed("SELECT 1"))
    assert summary["ended"] == {kind: 1} and summary["cost"] is None


LONG = reply("SELECT 1", usage={"prompt_tokens": 5, "completion_tokens": 9})
ONCE_MORE = {"retries": 1}


@pytest.mark.parametrize(
    ("faults", "settings", "said"),
    [
        (["401"], {}, rf"endpoint\.key is {VARIABLE}: \S+ refuses the key .*\${VARIABLE}"),
        (["404"], {}, r"endpoint\.model is .* does not know it .*/v1/models"),
        (["400"], {}, r"endpoint\.base_url is \S+ \S+ refuses a request"),
        (["429"] * 2, ONCE_MORE, r"endpoint\.at_once is 2: .* too many requests"),
        (["another shape"] * 2, ONCE_MORE, r"base_url is .*no answer.*no chat completion.*over"),
        (["garbage"] * 2, ONCE_MORE, r"base_url is .*no answer.*no chat completion.*busy"),
        (["slow"], {"retries": 0, "timeout": 0.2}, r"endpoint\.timeout is 0\.2: .* seconds"),
        ([], {"base_url": "http://127.0.0.1:9/v1"} | ONCE_MORE, r"base_url is .*connection"),
        ([], {"model": "another"}, "Server is pinned to"),
        ([], {"key": "NOT_SET"}, r"endpoint\.key names the environment variable NOT_SET"),
        ([LONG], {}, r"answer_tokens is 8, but an answer has 9.*limit_name"),
    ],
)
def test_messages_name_the_key_of_the_configuration(
    faults, settings, said, endpoint, proxy, tmp_path
):
    proxy.reset(*faults)
    with pytest.raises(EssenceError) as error:
        Client(changed(endpoint, **settings), tmp_path).answers(asked(1))
    assert re.search(said, str(error.value)), error.value
    assert KEY not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-é", " \n"])
def test_what_cannot_be_a_key_is_not_printed(key, endpoint, proxy, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(EssenceError, match=rf"{VARIABLE}, which is not") as error:
        Client(endpoint, tmp_path).answers(asked(1))
    assert "sk-" not in str(error.value) and not proxy.attempts


def test_a_failure_keeps_what_was_answered(endpoint, proxy, tmp_path):
    client = Client(changed(endpoint, at_once=1), tmp_path)
    proxy.reset(None, None, "400")
    with pytest.raises(EssenceError, match="What was answered is kept"):
        client.answers(asked(5))
    assert len(proxy.attempts) == 3
    client.answers(asked(5))
    assert proxy.answered == once_each(asked(5))


def test_rows_are_asked_whole_and_equal_rows_once(endpoint, proxy, tmp_path):
    rows = [row_of("How many?", 1), row_of("How many?", 2)]
    (first, second), _ = predictions(endpoint, tmp_path, rows)
    [(message, _)] = proxy.attempts
    assert to_source(message) == rows[0].source and "【Constraints】" in message
    assert (first.idx, second.idx, first.input) == (1, 2, second.input)


@pytest.mark.parametrize("system", ["", "Be brief.\nAnd right."])
def test_messages_are_those_of_the_row(system):
    user = render_prompt(Prompt("Decomposer", None, "How many?", "", "# Table: t", ""))
    source = to_source(user, system)
    assert from_source(source) == (user, system)
    row = row_of("How many?", 1)
    row.source = source
    assert [each["role"] for each in messages_of(row)] == ["system"] * bool(system) + ["user"]


def smoke_with_models(project, server, proxy):
    """The smoke configuration with one model behind the proxy, and one that is fine-tuned."""
    entry = {"base_url": f"http://127.0.0.1:{proxy.port}/v1", "model": str(server.model)}
    entry |= {"key": VARIABLE, "answer_tokens": 16, "prices": {"input": 1, "output": 2}}
    models = {"tiny": {"endpoint": entry}}
    models["again"] = {"base": "resources/models/standin", "run": "exp3_bs4_lr1e-4"}
    overlay = project.folder / "configs/smoke.yaml"
    overlay.write_text(yaml.safe_dump({**yaml.safe_load(overlay.read_text()), "models": models}))


@pytest.mark.pipeline
def test_models_are_compared_by_the_smoke_configuration(project, server, proxy, monkeypatch):
    smoke_with_models(project, server, proxy)
    monkeypatch.delenv(VARIABLE)
    table = "results/tables/models.csv"
    assert {"ask_endpoint", "run_agents_of_run"} <= set(project.stale(table)), "plans without a key"
    done = project.snakemake("--cores", "2", "results/models/tiny/answering.json", check=False)
    assert done.returncode and f"environment variable {VARIABLE}, which is not set" in (
        done.stdout + done.stderr
    )
    monkeypatch.setenv(VARIABLE, KEY)
    proxy.reset(None, "500", "garbage", None, "dropped")
    project.snakemake("--cores", "2", table)
    with open(project.folder / table) as file:
        lines = {line["feature"]: line for line in csv.DictReader(file)}
    end_to_end = lines["End to end, execution accuracy (unseen databases)"]
    again = "repaired@again: exp3_bs4_lr1e-4"
    assert end_to_end["tiny"].endswith("n = 4") and end_to_end[again].endswith("n = 4")
    assert lines["All tasks, exact match (test rows)"]["tiny"].startswith("0.000")
    run = "exp3_bs4_lr1e-4/seed42/model/model.safetensors"
    own, same = (
        project.folder / f"results/runs/{name}/{run}" for name in ("repaired@again", "repaired")
    )
    assert own.read_bytes() == same.read_bytes(), "equal bases, equal weights"
    assert "tokens read" in lines["Cost of the answers"]["tiny"]
    assert set(proxy.answered.values()) == {1}, "rows, questions and repairs: each asked once"
    assert project.stale(table) == {}
    proxy.reset()
    shutil.rmtree(project.folder / "results/models")
    project.snakemake("--cores", "2", "results/models/scores.parquet")
    assert not proxy.attempts, "answers outlive results/"
    written = [file for file in project.folder.rglob("*") if file.is_file()]
    told = [file for file in written if KEY.encode() in file.read_bytes()]
    assert told == [project.folder / "tests/test_endpoint.py"]
