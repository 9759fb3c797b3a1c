"""The three prompt formats: told apart, parsed, written, made compact."""

from dataclasses import replace

import pytest
from sample_rows import prompt
from tokenizers import Tokenizer

from workflow_scripts.formats.prompts import (
    CLOSING,
    CONSTANT,
    TASKS,
    PromptError,
    compact_parts,
    compact_prompt,
    compact_schema,
    parse_prompt,
    render_prompt,
    sections,
    task_of,
    to_source,
)
from workflow_scripts.formats.schema import parse_schema

each_task = pytest.mark.parametrize("task", TASKS)


@each_task
def test_what_is_rendered_is_parsed_again(task):
    for made in (prompt(task), prompt(task, evidence="", foreign_keys="")):
        made = replace(made, exception_class="") if task == "Refiner" else made
        user = render_prompt(made)
        assert task_of(user) == task
        for text in (user, to_source(user), to_source(user, system="Be brief.")):
            assert parse_prompt(text) == made


@pytest.mark.parametrize("name", ["", "<class 'sqlite3.OperationalError'>", "TimeoutError"])
def test_the_exception_class_is_one_line_whatever_closes_the_prompt(name):
    made = prompt("Refiner", exception_class=name)
    user = render_prompt(made).replace(CLOSING["Refiner"], "Now write it again.")
    assert parse_prompt(user) == made
    assert parse_prompt(user.replace("【correct SQL】\n", "")) == made


@each_task
def test_a_missing_section_is_not_taken_from_the_examples(task):
    user = render_prompt(prompt(task))
    before, _, after = user.rpartition("【Evidence】\n")
    assert parse_prompt(before + after.split("\n", 1)[1]) == prompt(task, evidence="")
    mark = "【Query】" if task == "Refiner" else "【Question】"
    before, _, after = user.rpartition(mark)
    with pytest.raises(PromptError, match=mark):
        parse_prompt(before + after)


def test_sections_out_of_order_are_an_error():
    user = render_prompt(prompt("Selector"))
    head, _, own = user.rpartition("【DB_ID】")
    with pytest.raises(PromptError, match="order"):
        parse_prompt(head + "【Question】\nWho?\n【DB_ID】" + own.replace("【Question】", "", 1))


@each_task
def test_the_compact_prompt_starts_with_the_question_and_ends_with_the_schema(task):
    made = prompt(task)
    text = compact_prompt(made)
    assert text.startswith(f"{task}: {made.question} | evidence: {made.evidence}")
    assert compact_schema(made.schema) in text and "".join(compact_parts(made).values()) == text
    assert "kiln.kiln_no" in text and "pot.kiln_no" in text
    if task == "Refiner":
        places = [text.index(part) for part in (made.question, made.error, made.old_sql, "tables:")]
        assert places == sorted(places) and "(OperationalError)" in text


def test_real_rows_are_parsed_and_their_own_part_rendered_to_the_letter(real_rows):
    for row in real_rows.records:
        user = row["messages"][1]["content"]
        made = parse_prompt(user)
        assert made == parse_prompt(row["source"]) and to_source(user) == row["source"]
        assert made.task == ("Decomposer" if row["idx"] % 2 else "Selector")
        names = [table.name for table in parse_schema(made.schema)]
        assert len(names) == made.schema.count("# Table: ") > 1
        assert render_prompt(made).endswith(user[sections(user)["own"][0] :])


def test_the_constant_parts_are_as_long_as_the_originals(real_rows):
    tokenizer = Tokenizer.from_file(str(real_rows.tokenizer / "tokenizer.json"))
    lengths = {task: len(tokenizer.encode(CONSTANT[task]).ids) for task in TASKS}
    assert lengths["Selector"] > 1100 and lengths["Decomposer"] > 1900
    assert 270 < lengths["Refiner"] < 340
