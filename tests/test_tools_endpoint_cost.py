"""What an endpoint would be sent is counted as it is asked: equal prompts once."""

import pytest
from test_agents_loop import decomposed
from tokenizers import Tokenizer, models, pre_tokenizers

from tools.endpoint_cost import endpoint_cost
from workflow_scripts.data.rows import row_from
from workflow_scripts.files import write_jsonl
from workflow_scripts.formats.prompts import Prompt, render_prompt, to_source
from workflow_scripts.tables import ROWS, write_table


@pytest.fixture
def words(tmp_path):
    """The folder of a tokenizer whose tokens are words."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_are_counted_by_task_and_together(words, tmp_path, capsys):
    prompt = render_prompt(Prompt("Decomposer", None, "How many?", "", "# Table: t\n[\n]", ""))
    answer = decomposed("SELECT 1")
    row = {"source": to_source(prompt), "target": answer}
    (tmp_path / "data").mkdir()
    for split in ("test", "unseen"):
        write_table(tmp_path / "data" / f"{split}.parquet", [row_from({**row, "idx": 1}, 1)], ROWS)
    steps = [{"prompt": text, "answer": "a b c"} for text in (prompt, "one two")]
    (tmp_path / "agents").mkdir()
    write_jsonl(tmp_path / "agents/traces.jsonl", [{"steps": steps}])
    endpoint_cost(words, tmp_path)
    *_, rows, agents, together = capsys.readouterr().out.splitlines()
    read, written = len(prompt.split()), len(answer.split())
    assert rows.startswith(f"| Decomposer, test rows | 1 | {read:,} | {read:,} | {written} |")
    assert agents == "| the agents end to end | 1 | 2 | 2 | 3 | 2 | 3 |"
    assert together == f"| together | 2 | | | | {read + 2:,} | {written + 3:,} |"
