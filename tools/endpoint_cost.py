"""What asking an endpoint takes, in tokens, before it is asked: a table in Markdown.

    python -m tools.endpoint_cost --tokenizer DIR

Prompts are those that the endpoint would be sent (results/data/, and the questions end to end of
results/agents/traces.jsonl), answers the right ones. The tokenizer is not the endpoint's, so the
counts are estimates; times the prices they are a cost.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from tokenizers import Tokenizer

from workflow_scripts.endpoint import messages_of
from workflow_scripts.files import read_jsonl
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Option, run_stage
from workflow_scripts.tables import read_rows

Texts = list[tuple[str, str]]  # a prompt and its answer


def groups(results: Path) -> Iterator[tuple[str, Texts]]:
    """The rows of each task, and the agents' steps; equal prompts are asked once."""
    files = [results / "data" / f"{split}.parquet" for split in TEST_SPLITS]
    rows = [row for file in files if file.is_file() for row in read_rows(file)]
    for task in dict.fromkeys(row.task for row in rows):
        of_task = [row for row in rows if row.task == task]
        yield (
            f"{task}, test rows",
            [
                ("\n".join(message["content"] for message in messages_of(row.source)), row.target)
                for row in of_task
            ],
        )
    traces = results / "agents" / "traces.jsonl"
    if traces.is_file():
        steps = [step for trace in read_jsonl(traces) for step in trace["steps"]]
        yield "the agents end to end", [(step["prompt"], step["answer"]) for step in steps]


def table(results: Path, tokenizer: Tokenizer) -> str:
    lines = ["| prompts | asked | tokens a prompt | longest | tokens an answer | read | written |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    seen: dict[str, str] = {}
    whole = [0, 0, 0]
    for name, texts in groups(results):
        new = {prompt: answer for prompt, answer in texts if prompt not in seen}
        seen |= new
        read = [len(encoded) for encoded in tokenizer.encode_batch(list(new))]
        written = [len(encoded) for encoded in tokenizer.encode_batch(list(new.values()))]
        cells = (len(new), sum(read) / len(new), max(read), sum(written) / len(new))
        lines.append(
            "| {} | {} | {:,.0f} | {:,} | {:,.0f} | {:,} | {:,} |".format(
                name, *cells, sum(read), sum(written)
            )
        )
        whole = [whole[0] + len(new), whole[1] + sum(read), whole[2] + sum(written)]
    lines.append("| together | {} | | | | {:,} | {:,} |".format(*whole))
    return "\n".join(lines)


def endpoint_cost(
    tokenizer: Annotated[Path, Option("folder of a tokenizer.json")],
    results: Annotated[Path, Option("folder of a finished pipeline")] = Path("results"),
) -> None:
    """Print the table."""
    print(table(results, Tokenizer.from_file(str(tokenizer / "tokenizer.json"))))


if __name__ == "__main__":
    run_stage(endpoint_cost)
