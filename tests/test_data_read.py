"""Reading rows: every line becomes a row or goes to quarantine with its number and reason."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import sample_rows as made
from shell import run_module

from workflow_scripts.data import checksums, lines
from workflow_scripts.data.read import read
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, read_jsonl
from workflow_scripts.formats.prompts import TASKS, parse_prompt
from workflow_scripts.tables import read_rows

GOOD = [made.raw(number, task, 1, number) for number, task in enumerate(TASKS)]


@pytest.fixture
def reading(tmp_path):
    """Read rows (a list, or bytes) with everything allowed; gives summary, rows and quarantine."""

    def do(content, max_quarantine=1.0):
        path = tmp_path / "in.jsonl"
        path.write_bytes(content) if isinstance(content, bytes) else made.write(path, content)
        out = [tmp_path / name for name in ("rows.parquet", "quarantine.jsonl", "summary.json")]
        read(path, *out, max_quarantine)
        return SimpleNamespace(
            summary=SimpleNamespace(**read_json(out[2])),
            rows=read_rows(out[0]),
            quarantine=[SimpleNamespace(**each) for each in read_jsonl(out[1])],
        )

    return do


def without_messages(**fields):
    return {"idx": 99, **fields}


def answered(task, text):
    row = made.raw(99, task, 1, 9)
    row["messages"][2]["content"] = text
    return row


def with_user(text):
    row = made.raw(99, "Selector", 1, 9)
    row["messages"][1]["content"] = text
    return row


def roles(*names):
    return {"idx": 99, "messages": [{"role": name, "content": ""} for name in names]}


FULL = made.processed(99, "Selector", 1, 9)
BAD = {
    "half a line": ('{"idx": 99, "messages": [', "broken JSON", "character 27"),
    "not JSON": ("idx,messages", "broken JSON", "not JSON"),
    "endless number": ('{"idx": ' + "9" * 5000 + "}", "broken JSON", "can be read"),
    "deep nesting": ("[" * 100_000, "broken JSON", "not JSON"),
    "a key twice": ('{"idx": 99, "idx": 98}', "duplicate key", "the key 'idx'"),
    "a key twice inside": ('{"idx": 99, "messages": [{"a": 1, "a": 1}]}', "duplicate key", "'a'"),
    "a list": ("[1, 2]", "not an object", "found a list"),
    "not UTF-8": ('{"idx": 99, "messages": "é"}'.encode("latin-1"), "not UTF-8", "0xe9"),
    "half a character": (
        json.dumps(with_user("\ud800")),
        "not UTF-8",
        "half a character (\\ud800)",
    ),
    "a key of half a character": ('{"\\ud800": 1}', "missing field", "the fields are: \\ud800"),
    "no messages": (without_messages(text="x"), "missing field", "neither messages nor source"),
    "no target": (without_messages(source="x"), "missing field", "target isn't"),
    "messages are text": (without_messages(messages="x"), "wrong type", "list of objects"),
    "messages are null": (without_messages(messages=None), "wrong type", "list of objects"),
    "no assistant": (roles("system", "user"), "missing field", "['system', 'user']"),
    "two users": (roles("user", "user", "assistant"), "missing field", "user, assistant"),
    "content is a number": (with_user(5), "wrong type", "content of the user message"),
    "source is null": (without_messages(source=None, target="x"), "wrong type", "found None"),
    "target is a list": (FULL | {"target": ["x"]}, "wrong type", "target must be text"),
    "idx is a fraction": (made.raw(0.5, "Selector", 1, 9), "wrong type", "found 0.5"),
    "idx is true": (made.raw(True, "Selector", 1, 9), "wrong type", "found True"),
    "idx is too large": (made.raw(2**63, "Selector", 1, 9), "wrong type", "whole number"),
    "unknown task": (with_user("Translate: hello"), "unknown task", "Translate: hello"),
    "no schema": (
        with_user("As an experienced and professional database administrator"),
        "prompt not readable",
        "",
    ),
    "broken schema": (
        made.raw(99, "Selector", 1, 9, schema="tables: a, b"),
        "prompt not readable",
        "tables: a, b",
    ),
    "broken foreign keys": (
        made.raw(99, "Selector", 1, 9, foreign_keys="a to b"),
        "prompt not readable",
        "a to b",
    ),
    "answer without JSON": (answered("Selector", "keep it all"), "answer not readable", "JSON"),
    "answer without SQL": (
        answered("Decomposer", "\nSub question 1: Which?\nQuestion Solved.\n"),
        "answer not readable",
        "SQL",
    ),
    "empty answer": (answered("Refiner", ""), "answer not readable", "SQL"),
    "empty fence": (answered("Refiner", "```sql\n```"), "answer not readable", ""),
    "duplicate idx": (made.raw(1, "Selector", 2, 9), "duplicate idx", "already on line 2"),
    "two forms that disagree": (
        made.raw(99, "Selector", 1, 9) | {k: FULL[k] for k in ("source",)} | {"target": "no</s>"},
        "forms disagree",
        "target",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_quarantined_with_its_number_and_reason(reading, name):
    line, kind, words = BAD[name]
    found = reading([*GOOD, line, made.raw(50, "Selector", 3, 1)])
    assert [row.idx for row in found.rows] == [0, 1, 2, 50]
    (entry,) = found.quarantine
    assert (entry.line, entry.kind) == (4, kind)
    assert words in entry.reason
    assert found.summary.quarantined_by_kind == {kind: 1}
    assert found.summary.tasks == {"Selector": 2, "Decomposer": 1, "Refiner": 1}


def test_a_refused_row_keeps_its_idx_for_the_reader_but_does_not_use_it_up(reading):
    found = reading([with_user("?"), made.raw(99, "Selector", 1, 1)])
    assert found.quarantine[0].idx == 99
    assert found.quarantine[0].excerpt.startswith('{"idx": 99, "messages"')
    assert [row.idx for row in found.rows] == [99]


def test_a_line_without_end_is_refused_unread(reading, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 200_000)
    found = reading([GOOD[0], '{"idx": "' + "x" * 3_000_000 + '"}', GOOD[1]])
    assert [row.line for row in found.rows] == [1, 3]
    assert found.quarantine[0].kind == "line too long"


def test_the_parts_of_every_task(reading):
    found = reading(GOOD)
    assert not found.quarantine
    for number, (row, task) in enumerate(zip(found.rows, TASKS, strict=True)):
        expected = made.prompt(task, made.farm(1, number))
        for name in expected.__dataclass_fields__:
            assert getattr(row, name) == getattr(expected, name), name
        assert row.target == made.answer(task, made.farm(1, number))
        assert parse_prompt(row.source) == expected
        assert (row.idx, row.line) == (number, number + 1)
    sql = "SELECT COUNT(*) FROM goat_1 WHERE age > {}"
    assert [row.gold_sql for row in found.rows] == [None, sql.format(1), sql.format(2)]


def test_raw_and_processed_form_give_the_same_rows(reading):
    cases = [(number, task, 1, number) for number, task in enumerate(TASKS)]
    from_raw = reading([made.raw(*case) for case in cases]).rows
    from_processed = reading([made.processed(*case) for case in cases]).rows
    both = reading([made.raw(*case) | made.processed(*case) for case in cases]).rows
    assert from_raw == from_processed == both


def test_a_bare_prompt_as_source_is_framed(reading):
    row = made.raw(1, "Selector", 1, 1)
    user, assistant = (message["content"] for message in row["messages"][1:])
    assert reading([{"idx": 1, "source": user, "target": assistant}]).rows == reading([row]).rows


def test_a_system_message_that_says_something_leads_the_source(reading):
    row = made.raw(1, "Selector", 1, 1)
    row["messages"][0]["content"] = "Be brief."
    (read_row,) = reading([row]).rows
    assert read_row.source.startswith("### Instruction:\nBe brief.\n\n### Input:\n")


def test_windows_line_ends_and_an_empty_system_message_are_read(reading):
    rows = [made.raw(number, task, 1, number) for number, task in enumerate(TASKS)]
    expected = reading(rows).rows
    for row in rows:
        row["messages"][0]["content"] = None
        for message in row["messages"][1:]:
            message["content"] = message["content"].replace("\n", "\r\n")
    found = reading(rows)
    assert found.rows == expected and not found.quarantine


def test_rows_without_idx_get_their_line_number_and_it_is_said(reading):
    found = reading([made.processed(None, "Selector", 1, n) for n in range(3)])
    assert [row.idx for row in found.rows] == [1, 2, 3]
    assert "3 rows had no number as idx" in found.summary.notes[0]


def test_an_idx_written_as_text_is_a_number_where_it_can_be(reading):
    found = reading([made.raw(text, "Selector", 1, 9) for text in ("7", " 12 ", "spider_3")])
    assert [row.idx for row in found.rows] == [7, 12, 3]  # the third is its line
    assert "1 rows had no number as idx" in found.summary.notes[0]


SPIDER_ENDS = ["SQL", "SQL\n", "【SQL】", "【Answer】\n"]


def spider(idx: int, end: str, answer: str) -> dict:
    """A Decomposer row in the form of MAC-SQL's for Spider: no Evidence, plain SQL as answer."""
    prompt = made.prompt("Decomposer", made.farm(1, idx))
    user = (
        "Given a 【Database schema】 description, and the 【Question】, use valid SQLite.\n"
        f"【Database schema】\n{prompt.schema}\n【Foreign keys】\n{prompt.foreign_keys}\n"
        f"【Question】\nWhich courses teach {idx}?\n\n{end}"
    )
    return {"idx": idx, "source": user, "target": answer}


def test_rows_as_mac_sql_writes_them_for_spider(reading):
    sql = "SELECT name FROM keeper_1"
    rows = [spider(n, end, f"{sql};\n") for n, end in enumerate(SPIDER_ENDS)]
    rows += [spider(9, "SQL", made.answer("Decomposer").replace("Sub q", "Sub-q"))]
    found = reading(rows)
    assert not found.quarantine
    assert [row.question for row in found.rows] == [
        f"Which courses teach {n}?" for n in (0, 1, 2, 3, 9)
    ]
    assert {row.gold_sql for row in found.rows[:4]} == {sql}
    assert not any(row.evidence for row in found.rows)


def test_a_byte_order_mark_is_dropped_and_said(reading, tmp_path):
    made.write(tmp_path / "plain.jsonl", GOOD)
    content = (tmp_path / "plain.jsonl").read_bytes()
    with_mark = reading(b"\xef\xbb\xbf" + content)
    assert with_mark.rows == reading(content).rows
    assert any("byte order mark" in note for note in with_mark.summary.notes)


def test_blank_lines_are_passed_over_and_counted_as_lines(reading):
    found = reading([GOOD[0], "", "  ", GOOD[1]])
    assert [row.line for row in found.rows] == [1, 4]
    assert found.summary.lines == 2
    assert "2 blank lines" in found.summary.notes[0]


def test_a_last_line_without_newline_counts(reading):
    content = b"\n".join(json.dumps(row).encode() for row in GOOD)
    assert reading(content).summary.rows == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "no rows in it"),
        (b"[]", "no rows in it"),
        ("[]".encode("utf-16"), "iconv -f UTF-16"),
        (gzip.compress(b"{}", mtime=0), "gzip; convert it first: gunzip"),
        (b'[\n{"idx": 1},\n{"idx": 2', "line 3: not a JSON array: Expecting ',' delimiter"),
        (b'[{"idx": 1} {"idx": 2}]', "line 1: not a JSON array: a comma"),
        (b'[{"idx": 1}]\n{"idx": 2}', "line 1: not a JSON array: more follows"),
        (b"[" * 100_000, "line 1: not a JSON array: nested too deep"),
        (b"nothing here is JSON\n", "No row is left"),
    ],
)
def test_files_that_cannot_be_used(reading, content, words):
    with pytest.raises(EssenceError, match=words):
        reading(content)


def test_an_array_is_read_like_lines_and_says_so(reading):
    bad = ['"text"', '{"idx": ' + "9" * 5000 + "}", '{"idx": 7, "idx": 8}', '{"a": "\xe9"}']
    array = "\ufeff [\n" + ",\n\n".join([*map(json.dumps, GOOD), *bad]) + "\n]\n"
    content = array.encode("utf-8").replace(b"\xc3\xa9", b"\xe9")
    found, same = reading(content), reading(GOOD)
    assert found.rows == same.rows
    kinds = ["not an object", "broken JSON", "duplicate key", "not UTF-8"]
    assert [(each.line, each.kind) for each in found.quarantine] == list(enumerate(kinds, 4))
    assert "JSON array; its entries are numbered" in found.summary.notes[0]
    assert found.summary.file["bytes"] == len(content)


@pytest.mark.parametrize(
    "name, words",
    [("nowhere.jsonl", "no such file"), (".", "a folder"), ("/dev/null", "a device or a pipe")],
)
def test_what_is_no_file_is_called_by_its_name(tmp_path, name, words):
    with pytest.raises(EssenceError, match=f": {words}"):
        read(tmp_path / name, *(tmp_path / name for name in "rqs"))


def test_arguments_that_would_lose_something_are_refused(tmp_path):
    path = made.write(tmp_path / "in.jsonl", GOOD)
    before = path.read_bytes()
    outs = [tmp_path / name for name in "rqs"]
    for share in (float("nan"), -0.1, 1.5):
        with pytest.raises(EssenceError, match=r"--max-quarantine: .* between 0 and 1"):
            read(path, *outs, share)
    for place in range(3):
        over_input = [*outs]
        over_input[place] = tmp_path / "x" / ".." / "in.jsonl"
        with pytest.raises(EssenceError, match="this is an input"):
            read(path, *over_input)
    with pytest.raises(EssenceError, match="a folder or a device"):
        read(path, outs[0], outs[1], Path("/dev/null"))
    assert path.read_bytes() == before and Path("/dev/null").is_char_device()


def test_too_many_bad_lines_fail_after_quarantine_was_written(tmp_path):
    path = made.write(tmp_path / "in.jsonl", [*GOOD, "{", "[]", *["x"] * 6])
    rows, quarantine, summary = (tmp_path / name for name in ("r.parquet", "q.jsonl", "s.json"))
    with pytest.raises(EssenceError) as caught:
        read(path, rows, quarantine, summary, 0.5)
    message = str(caught.value)
    assert "8 of 11 lines (72.7%)" in message
    assert "line 4: not JSON" in message
    assert "line 5: not a JSON object" in message
    assert "and 3 more" in message
    assert "raise data.max_quarantine (now 0.5)" in message
    assert str(quarantine) in message
    assert not rows.exists()
    assert len(list(read_jsonl(quarantine))) == 8
    assert read_json(summary)["quarantined"] == 8
    read(path, rows, quarantine, summary, 8 / 11)
    assert pq.read_table(rows).num_rows == 3


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = made.write(tmp_path / "in.jsonl", [*made.many(3, 120), "{"])
    outs = [[tmp_path / f"{run}{name}" for name in "rqs"] for run in (1, 2)]
    for out in outs:
        read(path, *out)
    for one, other in zip(*outs, strict=True):
        assert one.read_bytes() == other.read_bytes()


MEASURE = """
import resource, sys
from workflow_scripts.data.read import read
read(sys.argv[1], *(sys.argv[1] + end for end in (".r", ".q", ".s")))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_mb(path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
    )
    return int(done.stdout.splitlines()[-1])


def test_memory_grows_no_faster_than_the_file(tmp_path):
    once = [json.dumps(row) for row in made.many(3, 150)]
    small = made.write(tmp_path / "small.jsonl", once)
    numbered = (
        line.replace('{"idx": ', f'{{"idx": {turn}') for turn in range(1, 11) for line in once
    )
    large = made.write(tmp_path / "large.jsonl", numbered)
    growth = (large.stat().st_size - small.stat().st_size) / 2**20
    assert growth > 40
    assert peak_mb(large) - peak_mb(small) < 5 * growth


def test_it_says_whether_the_file_is_the_reports(tmp_path, monkeypatch, reading):
    path = made.write(tmp_path / "some.jsonl", ["", *GOOD, ""])
    git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    facts = checksums.facts_of(path)
    assert facts["git_blob_sha1"] == git.stdout.strip()
    assert reading(path.read_bytes()).summary.file == facts | {"name": "in.jsonl"}
    known, sentence = checksums.is_the_reports_file(facts)
    assert not known and sentence.startswith("This is not the report's file")
    published = checksums.report_files()
    monkeypatch.setattr(checksums, "report_files", lambda: published)
    published.processed.bytes, published.processed.sha256 = facts["bytes"], facts["sha256"]
    assert "processed file, byte for byte" in checksums.is_the_reports_file(facts)[1]
    published.raw.git_blob_sha1 = facts["git_blob_sha1"]
    assert checksums.is_the_reports_file(facts) == (
        True,
        "This is the report's raw file, byte for byte (its git blob id agrees).",
    )


def test_the_known_checksums_are_whole():
    known = checksums.report_files()
    assert len(known.raw.git_blob_sha1) == 40
    for file in (known.processed, known.base_model):
        assert len(file.sha256) == 64


def test_the_command_reports_counts_and_reasons(tmp_path):
    path = made.write(tmp_path / "in.jsonl", [*GOOD, "{"])
    given = ["--raw", path]
    for name in ("rows", "quarantine", "summary"):
        given += [f"--{name}", tmp_path / name]
    done = run_module("workflow_scripts.data.read", *given, "--max-quarantine", 0.5)
    assert done.returncode == 0, done.stderr
    assert (
        "3 rows (Selector 1, Decomposer 1, Refiner 1); 1 lines in quarantine (broken JSON 1)"
        in (done.stdout)
    )
    assert "This is not the report's file" in done.stdout
    failed = run_module("workflow_scripts.data.read", *given)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert "Traceback" not in failed.stderr


def test_real_rows(reading, real_rows):
    rows, truth = reading(real_rows.file.read_bytes(), 0.0).rows, real_rows.truth
    for name in ("idx", "question"):
        assert [getattr(row, name) for row in rows] == [each[name] for each in truth]
    assert [row.task[0] for row in rows] == ["S", "D", "S", "D", "S"]
    for row, each in zip(rows, truth, strict=True):
        stated = row.task == "Selector"
        assert row.db_id == (each["db_id"] if stated else None)
        assert row.gold_sql == (None if stated else each["gold_sql"])
        assert row.evidence
        assert row.schema.startswith("# Table: ") and row.schema.endswith(")\n]")
        assert row.foreign_keys.count(" = ") == row.foreign_keys.count("\n") + 1 > 1
        assert row.old_sql is row.error is row.exception_class is None


@pytest.mark.parametrize("form", [("messages",), ("source", "target")])
def test_real_rows_in_either_form(reading, real_rows, form):
    both = reading(real_rows.file.read_bytes()).rows
    records = real_rows.records
    one = reading([{key: record[key] for key in ("idx", *form)} for record in records]).rows
    assert one == both
