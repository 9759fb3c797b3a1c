"""An exported model: loaded and asked without the project, and pushed to a Hub that is here."""

import base64
import json
import os
import re
import subprocess
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import material
import pytest
import report_files as made
from conftest import ROOT
from shell import run_module

from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.model.load import initial_model
from workflow_scripts.model.predict import answer_rows
from workflow_scripts.model.saving import save_model
from workflow_scripts.report import push
from workflow_scripts.report.export import SPLITS, export
from workflow_scripts.tables import PREDICTIONS, ROWS, write_table
from workflow_scripts.text.preprocessing import ModelInput, source_text
from workflow_scripts.text.tokenizers import load_tokenizer

NO_PROJECT = """
try:
    import workflow_scripts
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("the project is here")
"""
ROUND_TRIP = """
import sys
for text in sys.argv[1:]:
    print(end=tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True))
"""


@pytest.fixture(scope="module")
def exported(twin, tmp_path_factory):
    """(folder, rows, answers): the stand-in as a repaired run that answered five rows."""
    folder = tmp_path_factory.mktemp("exported")
    made.make_data(folder / "data")
    rows = [row_from(record, 1) for record in
            material.rows_of_twin(twin, folder / "five.jsonl").records]  # fmt: skip
    write_table(folder / "rows.parquet", rows, ROWS)
    recipe = made.recipe("repaired").model_copy(update={"generate_tokens": 48})
    run = made.make_run(folder / "runs", recipe, "r")
    base = ROOT / "resources/models/standin"
    tokenizer = load_tokenizer(base, "lossless", [row.target for row in rows])
    model = initial_model(base, tokenizer, 1).eval()
    save_model(model, tokenizer, run / "model")
    answers = answer_rows(model, ModelInput(tokenizer, recipe), {"test": rows}, 8)
    write_table(run / "predictions.parquet", answers, PREDICTIONS)
    out = folder / "out"
    made.make_tables(folder, [run])
    export(
        run, folder / "scores.parquet", read_json(folder / "data/reading.json"),
        folder / "rows.parquet", run / "predictions.parquet", out / "README.md", "generated data",
    )  # fmt: skip
    return out, rows, answers


def test_the_code_of_the_card_runs_without_the_project_and_answers_as_the_pipeline(exported):
    folder, rows, answers = exported
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    targets = [row.target for row in rows]  # with line breaks, braces and back quotes
    done = subprocess.run(
        [sys.executable, "-I", "-c", NO_PROJECT + code + ROUND_TRIP, *targets],
        cwd=folder, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = {a.prediction + "\n" + "".join(targets) for a in answers if a.task == "Decomposer"}
    assert done.stdout in said


def test_the_card_shows_a_prompt_of_each_agent_and_lengths_are_in_the_configuration(exported):
    folder, rows, answers = exported
    card = (folder / "README.md").read_text()
    shown = re.findall(r"^(Selector|Decomposer|Refiner):\n~~~~text\n(.*?)\n~~~~", card, re.M | re.S)
    assert Counter(task for task, _ in shown) == Counter({row.task for row in rows})
    texts = {source_text(made.recipe("repaired"), row.source) for row in rows}
    assert {text for _, text in shown} <= texts
    assert any(f"~~~~text\n{answer.prediction}\n~~~~" in card for answer in answers)
    assert "source_text` of the pipeline" not in card and "constrained to names" not in card
    run = folder.parent / "runs/repaired/r/seed42/model"
    assert (folder / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert json.loads((folder / "generation_config.json").read_text())["max_new_tokens"] == 48
    assert json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"] == 1024


def export_again(folder: Path, predictions: Path, card: Path, **more) -> None:
    """Export the run of the fixture `exported` once more."""
    reading = read_json(folder / "data/reading.json")
    run, scores = folder / "runs/repaired/r/seed42", folder / "scores.parquet"
    export(run, scores, reading, folder / "rows.parquet", predictions, card, **more)


def test_answers_that_were_constrained_are_named_and_none_at_all_is_an_error(exported, tmp_path):
    folder, answers = exported[0].parent, exported[2]
    predictions = folder / "runs/repaired/r/seed42/predictions.parquet"
    export_again(folder, predictions, tmp_path / "README.md", constrained=True)
    assert "constrained to names of the schema" in (tmp_path / "README.md").read_text()
    write_table(tmp_path / "p.parquet", [a._replace(split="train") for a in answers], PREDICTIONS)
    with pytest.raises(EssenceError, match=r"prediction\.splits"):
        export_again(folder, tmp_path / "p.parquet", tmp_path / "out/README.md")
    assert not (tmp_path / "out").exists() and SPLITS[-1] == "val"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload of small files asks for; remembers what came."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.came.append((self.path, self.headers["Authorization"], body))
        here = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/api/repos/create":
            answer = {"url": f"{here}/me/model"}
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            answer = {"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False}
                                for path in paths]}  # fmt: skip
        else:
            answer = {"commitUrl": f"{here}/me/model/commit/1", "commitOid": "1"}
        self._say(answer)

    def do_GET(self):
        self._say({"id": "me/model", "sha": "0", "siblings": []})

    def _say(self, answer):
        said = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


@pytest.fixture
def small(tmp_path) -> Path:
    """A folder that looks like an exported model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text("# a model\n")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without a token, and no offline mode."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def test_a_push_makes_a_private_repository_and_sends_every_file(small, home, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        server.came = []
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        done = run_module("workflow_scripts.report.push", "me/model", "--folder", small)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert "/me/model/commit/1" in done.stdout and "hf_secret" not in done.stdout + done.stderr
    assert {token for _, token, _ in server.came} == {"Bearer hf_secret"}
    made_repository = json.loads(server.came[0][2])
    assert made_repository["name"] == "model" and made_repository["organization"] == "me"
    assert made_repository.get("private") or made_repository.get("visibility") == "private"
    lines = [json.loads(line)["value"] for line in server.came[-1][2].splitlines()]
    sent = {line["path"]: base64.b64decode(line["content"]) for line in lines if "path" in line}
    assert sent == {path.name: path.read_bytes() for path in small.iterdir()}


def test_what_keeps_a_push_from_the_hub_is_said_in_one_line(small, tmp_path, monkeypatch):
    def message(to: str, folder: Path) -> str:
        with pytest.raises(EssenceError) as raised:
            push.push(to, folder)
        return str(raised.value)

    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    without_token = message("me/model", small)
    assert "hf auth login" in without_token and "HF_TOKEN" in without_token
    assert "`make export` writes one" in message("me/model", tmp_path)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secret")
    assert message("a//b", small).startswith("a//b: the Hub did not take")


def test_the_one_model_in_results_is_meant(small, tmp_path, monkeypatch):
    monkeypatch.setattr(push, "EXPORTS", tmp_path)
    assert push.only_export() == small
    (tmp_path / "another").mkdir()
    (tmp_path / "another/README.md").write_text("# another\n")
    with pytest.raises(EssenceError, match="name one with --folder"):
        push.only_export()
