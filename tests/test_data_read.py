"""Reading rows: every line becomes a row or goes to quarantine with its number and reason."""

import gzip
import json
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import sample_rows as made

from workflow_scripts.data import checksums
from workflow_scripts.data.read import read
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, read_jsonl
from workflow_scripts.formats.prompts import TASKS
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


selector_row = partial(made.raw, 99, "Selector", 1, 9)
TWO_FORMS = selector_row() | {"source": "other", "target": "text</s>"}
BAD = [  # (line, kind, part of the reason)
    ('{"idx": 99, "messages": [', "broken JSON", "character 27"),
    ('{"idx": ' + "9" * 5000 + "}", "broken JSON", "can be read"),
    ('{"idx": 99, "idx": 98}', "broken JSON", "the key 'idx'"),
    ("[1, 2]", "not an object", "found a list"),
    ('{"idx": 99, "messages": "é"}'.encode("latin-1"), "not UTF-8", "byte "),
    (json.dumps(selector_row(user="\ud800")), "wrong type", "surrogates not allowed"),
    ({"idx": 99, "text": "x"}, "missing field", "neither messages"),
    ({"messages": [{"role": "user", "content": "?"}]}, "missing field", "['user']"),
    (selector_row(user=5), "wrong type", "messages.1.content: "),
    (TWO_FORMS | {"target": ["x"]}, "wrong type", "target: Input should"),
    (made.raw(2**63, "Selector", 1, 9), "wrong type", "idx."),
    (selector_row(user="Translate: hello"), "unknown task", "Translate: hello"),
    (selector_row(user="As an experienced and professional database administrator"),
     "prompt not readable", ""),
    (selector_row(schema="tables: a, b"), "prompt not readable", "tables: a, b"),
    (selector_row(foreign_keys="a to b"), "prompt not readable", "a to b"),
    (selector_row(assistant="keep it all"), "answer not readable", "JSON"),
    (made.raw(99, "Decomposer", 1, 9, assistant="Sub question 1: Which?\nQuestion Solved."),
     "answer not readable", "SQL"),
    (made.raw(99, "Refiner", 1, 9, assistant="```sql\n```"), "answer not readable", "SQL"),
    (made.raw(1, "Selector", 2, 9), "duplicate idx", "already on line 2"),
    (TWO_FORMS, "forms disagree", "drop one form"),
]  # fmt: skip


def test_bad_lines_are_quarantined_with_number_and_reason_the_others_read(reading):
    lines, kinds, words = zip(*BAD, strict=True)
    found = reading([*GOOD, *lines, made.raw(50, "Selector", 3, 1)])
    assert [row.idx for row in found.rows] == [0, 1, 2, 50]
    assert [(each.line, each.kind) for each in found.quarantine] == list(enumerate(kinds, 4))
    assert [part in each.reason for part, each in zip(words, found.quarantine, strict=True)] == (
        [True] * len(BAD)
    )
    assert found.summary.quarantined_by_kind == Counter(kinds)
    assert found.summary.tasks == {"Selector": 2, "Decomposer": 1, "Refiner": 1}


def test_every_form_gives_the_same_rows(reading):
    raw = [made.raw(number, task, 1, number) for number, task in enumerate(TASKS)]
    processed = [made.processed(task, made.farm(1, number)) for number, task in enumerate(TASKS)]
    bare, windows = [], []  # prompts without their frame; line ends, and an empty system message
    for row in raw:
        _, user, assistant = (message["content"] for message in row["messages"])
        bare.append({"source": user, "target": assistant})
        said = {"system": None, "user": user.replace("\n", "\r\n"), "assistant": assistant}
        messages = [{"role": role, "content": content} for role, content in said.items()]
        windows.append({"messages": messages})
    both = [one | other for one, other in zip(raw, processed, strict=True)]
    expected = reading(raw).rows
    for form in (processed, bare, windows):
        form = [row | {"idx": number} for number, row in enumerate(form)]
        assert reading(form).rows == expected
    assert reading(both).rows == expected
    raw[0]["messages"][0]["content"] = "Be brief."
    assert reading(raw).rows[0].source.startswith("### Instruction:\nBe brief.\n\n### Input:\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]", "no rows in it"),
        ("[]".encode("utf-16"), "iconv -f UTF-16"),
        (gzip.compress(b"{}", mtime=0), "gzip; convert it first: gunzip"),
        (b'[\n{"idx": 1},\n{"idx": 2', "line 3: not JSON: Expecting ',' delimiter"),
        (b'[{"idx": 1}]\n{"idx": 2}', "line 2: not JSON: Extra data"),
        (b"[" * 100_000, "not JSON that can be read: nested too deep"),
        (b"nothing here is JSON\n", "no row is left"),
    ],
)
def test_files_that_cannot_be_used(reading, content, words):
    with pytest.raises(EssenceError, match=words):
        reading(content)


def test_an_array_is_read_like_lines_and_blank_lines_and_byte_order_marks_do_not_matter(reading):
    lines = ["\ufeff" + json.dumps(GOOD[0]), "", "  ", *map(json.dumps, GOOD[1:])]
    found = reading("\n".join(lines).encode())
    assert [row.line for row in found.rows] == [1, 4, 5]
    assert found.summary.lines == 3 and not found.quarantine
    found = reading(("\ufeff " + json.dumps([*GOOD, "text"])).encode())
    assert found.rows == reading(GOOD).rows
    assert [(each.line, each.kind) for each in found.quarantine] == [(4, "not an object")]
    assert found.summary.numbered == "entry"


def test_an_idx_is_a_number_or_the_line_and_a_refused_row_does_not_use_it_up(reading):
    rows = [made.raw(idx, "Selector", 1, 9) for idx in ("7", " 12 ", "spider_3", None)]
    found = reading([*rows, selector_row(user="?"), made.raw(99, "Selector", 1, 1)])
    assert [row.idx for row in found.rows] == [7, 12, 3, 4, 99]
    assert found.quarantine[0].idx == 99


def test_rows_as_mac_sql_writes_them_for_spider(reading):
    """Decomposer rows without evidence, and plain SQL as answer."""
    sql, ends = "SELECT name FROM keeper_1", ["SQL", "SQL\n", "【SQL】", "【Answer】\n"]
    user = (
        "Given a 【Database schema】 description, and the 【Question】, use valid SQLite.\n"
        f"【Database schema】\n{made.farm(1, 1).schema}\n【Foreign keys】\n\n"
        "【Question】\nWhich courses teach it?\n\n"
    )
    found = reading([{"source": user + end, "target": f"{sql};\n"} for end in ends])
    said = {(row.question, row.evidence, row.gold_sql) for row in found.rows}
    assert said == {("Which courses teach it?", "", sql)} and not found.quarantine


def test_arguments_that_would_lose_something_are_refused(tmp_path):
    path = made.write(tmp_path / "in.jsonl", GOOD)
    before, outs = path.read_bytes(), [tmp_path / name for name in "rqs"]
    for arguments, words in (
        ([tmp_path / "no", *outs], ": no such file"),
        ([tmp_path, *outs], ": a folder"),
        ([Path("/dev/null"), *outs], ": a device or"),
        ([path, *outs, float("nan")], r"--max-quarantine: .* between 0 and 1"),
        ([path, tmp_path / "x" / ".." / "in.jsonl", *outs[1:]], "this is an input"),
        ([path, *outs[:2], Path("/dev/null")], "a folder or a device"),
    ):
        with pytest.raises(EssenceError, match=words):
            read(*arguments)
    assert path.read_bytes() == before and Path("/dev/null").is_char_device()


def test_too_many_bad_lines_fail_after_quarantine_was_written(tmp_path):
    path = made.write(tmp_path / "in.jsonl", [*GOOD, "{", "[]", *["x"] * 6])
    rows, quarantine, summary = (tmp_path / name for name in ("r.parquet", "q.jsonl", "s.json"))
    with pytest.raises(EssenceError) as caught:
        read(path, rows, quarantine, summary, 0.5)
    told = ("8 of 11 lines (72.7%)", "line 4: not JSON", "line 5: not a JSON object")
    for words in (*told, "raise data.max_quarantine (now 0.5)", str(quarantine)):
        assert words in str(caught.value)
    assert not rows.exists()
    assert len(list(read_jsonl(quarantine))) == 8 == read_json(summary)["quarantined"]
    read(path, rows, quarantine, summary, 8 / 11)
    assert len(read_rows(rows)) == 3


def test_the_reports_file_is_known_by_its_checksum(tmp_path):
    path = made.write(tmp_path / "some.jsonl", GOOD)
    git = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
    facts, known = checksums.facts_of(path), checksums.report_files()
    assert facts["git_blob_sha1"] == git.stdout.strip()
    for changes, is_known in (
        ({}, False),
        ({"git_blob_sha1": known.raw.git_blob_sha1}, True),
        ({"sha256": known.processed.sha256}, True),
    ):
        assert checksums.is_the_reports_file(facts | changes) == is_known
