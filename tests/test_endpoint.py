"""An endpoint that fails in every way: nothing is lost, nothing asked twice, no budget passed."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest
import yaml
from material import ROOT
from served_model import LATE, RETRY_AFTER, FaultyServer, reply
from test_agents_loop import decomposed
from test_metrics_score_runs import row

from workflow_scripts.endpoint import Answer, Client, answer_rows
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import to_source
from workflow_scripts.settings import Endpoint, Prices
from workflow_scripts.tables import PREDICTIONS, ROWS, read_csv, read_rows, write_table

KEY, VARIABLE = "sk-do-not-tell-1234567890", "KEY_OF_THE_TESTS"
PRICES = Prices(input=1000, output=2000)


@pytest.fixture
def server(monkeypatch):
    """With a key in the environment, and waits between attempts that a test can afford."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.05)
    monkeypatch.setenv(VARIABLE, KEY)
    with FaultyServer() as server:
        yield server
        server.shutdown()


@pytest.fixture
def endpoint(server):
    return Endpoint(
        name="tiny", base_url=f"http://127.0.0.1:{server.port}/v1", model="tiny", key=VARIABLE,
        at_once=2, answer_tokens=8, timeout=30,
    )  # fmt: skip


def questions(count):
    return [[{"role": "user", "content": f"question {place}"}] for place in range(count)]


def changed(endpoint, **settings):
    return endpoint.model_copy(update=settings)


@pytest.mark.parametrize(
    "fault", ["429", "500", "garbage", "another shape", "half", "slow", "dropped"]
)
def test_a_fault_loses_nothing_and_nothing_is_asked_twice(fault, endpoint, server, tmp_path):
    asked = questions(5)
    limited = changed(endpoint, timeout=LATE / 2) if fault == "slow" else endpoint
    server.reset(None, fault, fault, None, fault)
    answers = Client(limited, tmp_path).answers(asked)
    assert [each.text for each in answers] == [messages[0]["content"] for messages in asked]
    assert server.answered == Counter(each[0]["content"] for each in asked)
    assert len(server.attempts) == len(asked) + 3
    lasted = server.attempts[-1][1] - server.attempts[0][1]
    assert fault != "429" or lasted >= RETRY_AFTER, "the server says how long to wait"
    assert fault == "slow" or server.most_at_once <= endpoint.at_once
    server.reset()
    again = Client(limited, tmp_path).answers(asked[::-1])
    assert again == answers[::-1] and not server.attempts, "kept, and in the order that is asked"


def row_of(question, idx, *system):
    asked = row(idx, "Decomposer", decomposed("SELECT 1"), question=question)
    return asked._replace(source=to_source(question, *system))


def test_a_run_that_is_killed_goes_on_where_it_was(endpoint, server, tmp_path):
    write_table(tmp_path / "rows.parquet", [row_of(f"Question {n}?", n) for n in range(6)], ROWS)
    (tmp_path / "endpoint.json").write_text(changed(endpoint, at_once=1).model_dump_json())
    command = [sys.executable, "-m", "workflow_scripts.endpoint", "--endpoint=endpoint.json"]
    command += ["--answers=kept", "--out=out.parquet", "--summary=answering.json"]
    command += ["--test=rows.parquet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    server.reset(None, None, None, "slow")
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    while len(server.attempts) < 4 and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert not (tmp_path / "out.parquet").exists()
    assert len(list((tmp_path / "kept").glob("[!.]*.json"))) == 3
    server.reset()
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0 and sum(server.answered.values()) == 3
    predictions = read_rows(tmp_path / "out.parquet", PREDICTIONS)
    assert [each.question for each in predictions] == [f"Question {n}?" for n in range(6)]
    assert KEY not in result.stderr + result.stdout
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
    assert server.keys == {f"Bearer {KEY}"}


def test_the_budget_is_never_passed(endpoint, server, tmp_path):
    """Nor by attempts whose answers were lost; more money, and the rest is asked."""
    paid = changed(endpoint, prices=PRICES, budget=1.0, at_once=4, timeout=LATE / 2)
    client = Client(paid, tmp_path)
    server.reset(None, "half", "slow", "dropped", "500")
    for _ in range(2):
        with pytest.raises(EssenceError, match=r"models\.tiny\.endpoint\.budget is 1, of which"):
            client.answers(questions(40))
    answers = [Answer.read(file) for file in tmp_path.glob("[!.]*.json")]
    spent = sum(map(float, (tmp_path / "ledger.txt").read_text().split()))
    assert 1 < len(answers) < 40 and 0.5 < spent <= 1.0
    billed = sum(PRICES.of(each.input_tokens, each.output_tokens) for each in answers)
    worst = PRICES.of(130, 8)
    assert billed + 2 * worst < spent < billed + 4 * worst, "three answers were lost"
    Client(changed(paid, budget=100), tmp_path).answers(questions(40))
    assert set(server.answered.values()) == {1} and len(server.answered) == 40
    # What was in flight when a run was killed counts in full.
    (tmp_path / "ledger.txt").write_text("\n0.900000000\n-0.800000000\n0.800000000\n-")
    with pytest.raises(EssenceError, match=r"is 0\.95, of which 0\.9 is spent"):
        Client(changed(paid, budget=0.95), tmp_path).answers(questions(41))


def predictions(endpoint, folder, *rows):
    """Of `answer_rows`, and the summary of what they took."""
    write_table(folder / "rows.parquet", rows, ROWS)
    out, summary = folder / "out.parquet", folder / "answering.json"
    answer_rows(endpoint, folder / "kept", out, summary, test=folder / "rows.parquet")
    return read_rows(out, PREDICTIONS), json.loads(summary.read_text())


def test_how_an_answer_ended_is_kept(endpoint, server, tmp_path):
    for sent, text, kind, cut in (
        (reply("SELECT 1", "stop"), "SELECT 1", "stop", False),
        (reply("SEL", "length"), "SEL", "length", True),
        (reply("", "stop"), "", "empty", False),
        (reply(None, "stop"), "", "empty", False),
        (reply(None, refusal="I will not."), "I will not.", "refusal", True),
        (reply(None, "content_filter"), "", "content_filter", True),
    ):
        server.reset(sent)
        (answer,), summary = predictions(endpoint, tmp_path, row_of(sent, 1))
        assert (answer.prediction, answer.cut, answer.gold) == (text, cut, decomposed("SELECT 1"))
        assert summary["ended"] == {kind: 1} and summary["cost"] is None


def test_rows_are_asked_whole_and_equal_rows_once(endpoint, server, tmp_path):
    texts = ["How many?\n【Schema】\n# Table: t", "Be brief.\nAnd right."]
    rows = [row_of(texts[0], number, texts[1]) for number in (1, 2)]
    (first, second), summary = predictions(changed(endpoint, prices=PRICES), tmp_path, *rows)
    [(messages, _)] = server.attempts
    assert [(each["role"], each["content"]) for each in messages] == [
        ("system", texts[1]), ("user", texts[0]),
    ]  # fmt: skip
    assert (first.idx, second.idx, first.input) == (1, 2, second.input)
    assert (summary["asked"], summary["answers"], summary["cost"]) == (2, 1, PRICES.of(20, 8))


LONG = reply("SELECT 1", usage={"prompt_tokens": 5, "completion_tokens": 9})
ONCE_MORE = {"retries": 1}


@pytest.mark.parametrize(
    ("faults", "settings", "message"),
    [
        (["401"], {}, rf"endpoint\.key is {VARIABLE}: \S+ refuses the key .*\${VARIABLE}"),
        (["404"], {}, r"endpoint\.model is .* does not know it .*/models there"),
        (["400"], {}, r"endpoint\.base_url is \S+ \S+ refuses a request"),
        (["429"] * 2, ONCE_MORE, r"endpoint\.at_once is 2: .* too many requests"),
        (["another shape"] * 2, ONCE_MORE, r"base_url is .*no answer.*no chat completion.*over"),
        (["garbage"] * 2, ONCE_MORE, r"base_url is .*no answer.*no chat completion.*busy"),
        (["slow"], {"retries": 0, "timeout": 0.2}, r"endpoint\.timeout is 0\.2: .* seconds"),
        ([], {"base_url": "http://127.0.0.1:9/v1"} | ONCE_MORE, r"base_url is .*connection"),
        ([], {"key": "NOT_SET"}, r"endpoint\.key names the environment variable NOT_SET"),
        ([LONG], {}, r"answer_tokens is 8, but an answer has 9.*limit_name"),
    ],
)
def test_messages_name_the_key_of_the_configuration(
    faults, settings, message, endpoint, server, tmp_path
):
    server.reset(*faults)
    with pytest.raises(EssenceError) as error:
        Client(changed(endpoint, **settings), tmp_path).answers(questions(1))
    assert re.search(message, str(error.value)), error.value
    assert KEY not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-one\nsk-two", "sk-é", " \n"])
def test_what_cannot_be_a_key_is_not_printed(key, endpoint, server, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(EssenceError, match=rf"{VARIABLE}, which is not") as error:
        Client(endpoint, tmp_path).answers(questions(1))
    assert "sk-" not in str(error.value) and not server.attempts


@pytest.mark.slow
def test_a_real_server_of_this_kind_answers(endpoint, tmp_path):
    import tiny_model  # with torch, which the others do without

    for name in ("fastapi", "uvicorn"):
        pytest.importorskip(name, reason="make extras installs it")
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    model = tiny_model.make_causal_base(tmp_path / "model", template)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    real = changed(endpoint, base_url=f"http://127.0.0.1:{port}/v1", model=str(model), retries=40)
    command = [f"{sys.prefix}/bin/transformers", "serve", str(model), "--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([*command, "--port", port], env=environment) as server:
        try:  # until it has started, it is asked again
            answers = Client(real, tmp_path / "kept").answers(questions(2))
            with pytest.raises(EssenceError, match="Server is pinned to"):
                Client(changed(real, model="another"), tmp_path / "other").answers(questions(1))
        finally:
            server.kill()
    assert [(each.finish, each.output_tokens) for each in answers] == [("length", 8)] * 2


@pytest.mark.pipeline
@pytest.mark.slow
def test_models_are_compared_by_the_smoke_configuration(project, server, monkeypatch):
    entry = {"base_url": f"http://127.0.0.1:{server.port}/v1", "model": "tiny", "key": VARIABLE}
    entry |= {"answer_tokens": 16, "prices": {"input": 1, "output": 2}}
    models = {"tiny": {"endpoint": entry}}
    overlay = project.folder / "configs/smoke.yaml"
    overlay.write_text(yaml.safe_dump({**yaml.safe_load(overlay.read_text()), "models": models}))
    monkeypatch.delenv(VARIABLE)
    table = "results/tables/models.csv"
    assert "ask_endpoint" in project.stale(table), "plans without a key"
    result = project.snakemake("--cores", "2", "results/models/tiny/answering.json", check=False)
    assert f"environment variable {VARIABLE}, which is not set" in result.stdout + result.stderr
    monkeypatch.setenv(VARIABLE, KEY)
    server.reset(None, "500", "garbage", None, "dropped")
    project.snakemake("--cores", "2", table)
    lines = read_csv(project.folder / table).set_index("feature").tiny
    assert lines["End to end, execution accuracy (unseen databases)"].endswith("n = 4")
    assert "tokens read" in lines["Cost of the answers"]
    assert set(server.answered.values()) == {1}, "rows, questions and repairs: each asked once"
    assert project.stale(table) == {}
    server.reset()
    shutil.rmtree(project.folder / "results/models")
    project.snakemake("--cores", "2", "results/models/scores.parquet")
    assert not server.attempts, "answers outlive results/"
    files = [file for file in project.folder.rglob("*") if file.is_file()]
    with_key = [file.name for file in files if KEY.encode() in file.read_bytes()]
    assert with_key == ["test_endpoint.py"]
