"""A model behind an endpoint in the agents' place, with a client that keeps what it is asked."""

import pytest
from test_agents_loop import SHOP, decomposed, fenced, made

from workflow_scripts.agents.asking import load_back_end
from workflow_scripts.agents.loop import Question, read_schema, run_loop
from workflow_scripts.agents.remote import BEGIN_WITH, Remote
from workflow_scripts.artifacts.agents import Loop
from workflow_scripts.endpoint import Answered, Client
from workflow_scripts.errors import EssenceError
from workflow_scripts.sql.sandbox import Limits, Sandbox

ENDPOINT = "{base_url: 'http://127.0.0.1:9/v1', model: mine}"


class Scripted:
    """Answers the Decomposer with SQL that fails, the Refiner with SQL that runs."""

    def __init__(self):
        self.prompts = []

    def answers(self, conversations):
        texts = [messages[-1]["content"] for messages in conversations]
        self.prompts += texts
        return [self.answered(text) for text in texts]

    def answered(self, prompt):
        refined = "【old SQL】" in prompt
        text = fenced("SELECT town FROM shop") if refined else decomposed("SELECT twn FROM shop")
        return Answered(
            request={"messages": prompt}, text=text, finish="stop", input_tokens=1,
            output_tokens=1, seconds=0.1, served=None,
        )  # fmt: skip


def traces(tmp_path, loop):
    database = made(tmp_path / "shop.sqlite", SHOP)
    question = Question(database, read_schema(database), "Which towns?")
    remote = Remote(Scripted())
    with Sandbox(Limits(), workers=1) as sandbox:
        (trace,) = run_loop(
            [question], loop, remote, lambda jobs: [sandbox.execute(*job) for job in jobs]
        )
    return trace, remote


def test_prompts_go_whole_and_what_fails_is_repaired(tmp_path):
    trace, remote = traces(tmp_path, Loop())
    assert trace.answered and [step.agent for step in trace.steps] == ["Decomposer", "Refiner"]
    assert remote.client.prompts == [step.prompt for step in trace.steps]
    assert "==========" in remote.client.prompts[0], "with worked examples"
    assert len(remote.answered) == 2


def test_an_answer_is_told_how_to_begin(tmp_path):
    _, remote = traces(tmp_path, Loop(decomposer=False))
    told = remote.client.prompts[0].partition(f"\n{BEGIN_WITH}\n")[2]
    assert told == "Sub question 1: Which towns?\nSQL\n```sql"
    assert BEGIN_WITH not in remote.client.prompts[1]


def test_an_endpoint_is_read_from_a_configuration_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"models: {{far: {{endpoint: {ENDPOINT}}}, near: {{base: here}}}}")
    client = load_back_end(None, file, 1).client
    assert isinstance(client, Client) and client.endpoint.name == "far"
    assert str(client.folder) == "resources/downloads/answers/far"


def test_the_answers_of_an_endpoint_are_free(tmp_path):
    with pytest.raises(EssenceError, match="cannot be constrained"):
        load_back_end(None, tmp_path / "mine.yaml", 1, constrained=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {}", "one endpoint is needed, and 0 are there"),
        (f"models: {{a: {{endpoint: {ENDPOINT}}}, b: {{endpoint: {ENDPOINT}}}}}", "2 are there"),
        ("models: {a: {endpoint: {model: mine}}}", r"models\.a\.endpoint: base_url"),
        ("- a", "no configuration file"),
        ("a: [", "no configuration file"),
    ],
)
def test_a_file_without_one_endpoint(tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(EssenceError, match=said):
        load_back_end(None, tmp_path / "mine.yaml", 1)
    with pytest.raises(EssenceError, match="no configuration file"):
        load_back_end(None, tmp_path / "nowhere.yaml", 1)
