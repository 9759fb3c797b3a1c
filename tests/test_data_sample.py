"""Drawing test sets and samples: exact counts, no leaks, the same bytes again."""

import random
from collections import Counter

import pandas as pd
import pyarrow.parquet as pq
import pytest
import sample_rows as made

from workflow_scripts.data import sampling
from workflow_scripts.data.draw_sample import choose_sample, draw_sample
from workflow_scripts.data.draw_test import choose_test, draw_test
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.sampling import group_rows, load_pool
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, sha256
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.records import parsed
from workflow_scripts.settings import SampleSettings

PER_TASK = {"Selector": 40, "Decomposer": 50, "Refiner": 30}


@pytest.fixture(scope="module")
def rows_path(tmp_path_factory):
    """16 databases of 60 questions: 960 Selector, 960 Decomposer and 480 Refiner rows."""
    return made.rows_parquet(tmp_path_factory.mktemp("rows"), made.many(16, 60, refined_every=2))


@pytest.fixture(scope="module")
def pool(rows_path):
    return load_pool(rows_path)


@pytest.fixture
def drawn(rows_path, tmp_path):
    """Draw one sample; gives its card, and the rows of train and val."""

    def do(test=None, name="a", path=rows_path, unseen_databases=(), **settings):
        outs = [tmp_path / f"{name}.{part}" for part in ("train", "val", "card")]
        given = parsed(SampleSettings, settings, "settings")
        draw_sample(path, *outs, given, test, unseen_databases)
        return read_json(outs[2]), *(pq.read_table(out).to_pylist() for out in outs[:2])

    return do


@pytest.fixture
def test_set(rows_path, tmp_path):
    outs = (tmp_path / name for name in ("test", "unseen", "test.card"))
    draw_test(rows_path, *outs, PER_TASK, 7)
    return tmp_path / "test"


def count(rows):
    return {task: sum(row["task"] == task for row in rows) for task in TASKS}


def test_1011_rows_split_as_in_the_report(drawn):
    for way, share in (("natural", 0.2), ("balanced", 1 / 3)):  # of Refiner rows
        _, train, val = drawn(sampling=way, rows=1011)
        assert (len(train), len(val)) == (808, 203)
        mix = count(train + val)
        for task, number in count(val).items():
            assert abs(number - mix[task] * 203 / 1011) < 1
        assert mix["Refiner"] / 1011 == pytest.approx(share, abs=0.05 if share < 0.3 else 1e-9)


def test_rows_are_those_of_the_input_and_do_not_depend_on_its_order(rows_path, drawn, tmp_path):
    table = pq.read_table(rows_path)
    by_idx = {row["idx"]: row for row in table.to_pylist()}
    settings = {"sampling": "balanced", "rows": 100, "split": "database"}
    card, train, val = drawn(**settings)
    assert count(train + val) == {"Selector": 34, "Decomposer": 33, "Refiner": 33}
    for part in (train, val):
        assert part == [by_idx[idx] for idx in sorted(row["idx"] for row in part)]
    assert not {row["idx"] for row in train} & {row["idx"] for row in val}
    order = random.Random(1).sample(range(table.num_rows), table.num_rows)
    pq.write_table(table.take(order), tmp_path / "shuffled")
    one, other = (
        card["sha256"],
        drawn(name="b", path=tmp_path / "shuffled", **settings)[0]["sha256"],
    )
    assert one["input"] != other["input"]
    assert (one["train"], one["val"]) == (other["train"], other["val"])


def test_every_row_has_the_same_chance_in_every_draw(pool):
    settings = SampleSettings(sampling="natural", rows=600)
    times = Counter()
    for number in range(60):
        one = choose_sample(pool, set(), settings.model_copy(update={"draw": number}))[0]
        times.update(one)
    mean = 60 * 600 / len(pool)  # 15
    assert abs(sum(times[idx] for idx in range(0, 1200)) / 1200 - mean) < 1
    assert max(times.values()) < 32
    other = choose_sample(pool, set(), settings.model_copy(update={"draw": 59, "seed": 43}))[0]
    assert len(set(one) & set(other)) < 240


def test_the_test_set_has_its_counts_and_its_card(rows_path, tmp_path, capsys):
    out = [tmp_path / name for name in ("test", "unseen", "card")]
    draw_test(rows_path, *out, PER_TASK, 7)
    test, card = pq.read_table(out[0]).to_pylist(), read_json(out[2])
    assert count(test) == PER_TASK == card["tasks"]["test"]
    assert card["sha256"]["input"] == sha256(rows_path) and card["sha256"]["test"] == sha256(out[0])
    assert card["shared"]["test_rest"]["question"] == card["shared"]["test_rest"]["gold_sql"] == 0
    assert sum(card["rows"].values()) + sum(card["set_aside"].values()) == 2400
    # 60 groups at least are needed for 30 Refiner rows; thrift: not many more are touched
    assert card["set_aside"]["same question or SQL as a test row"] < 130
    assert card["rows"]["unseen"] == 0 == pq.read_metadata(out[1]).num_rows
    assert pq.read_schema(out[1]) == pq.read_schema(rows_path)
    draw_test(rows_path, *out, PER_TASK | {"Refiner": 100}, 7, ["farm_3"])  # which has 30
    assert count(pq.read_table(out[1]).to_pylist()) == PER_TASK
    assert "unseen: 100 rows of Refiner are wanted, there are 30" in capsys.readouterr().out


UNSEEN = ["farm_3", "farm_11"]


def farms_of(rows):
    return {f"farm_{row['question'].split()[5]}" for row in rows}


def test_no_sample_row_is_of_an_unseen_database(rows_path, drawn, tmp_path):
    outs = [tmp_path / name for name in ("test", "unseen", "card")]
    draw_test(rows_path, *outs, PER_TASK, 7, UNSEEN)
    test, unseen = (pq.read_table(path).to_pylist() for path in outs[:2])
    assert count(test) == count(unseen) == PER_TASK
    assert farms_of(unseen) == set(UNSEEN) and not farms_of(test) & set(UNSEEN)
    facts = read_json(outs[2])
    assert facts["set_aside"]["about an unseen database"] == 300 - 120
    settings = {"sampling": "natural", "rows": facts["rows"]["rest"]}
    card, train, val = drawn(test=outs[0], unseen_databases=UNSEEN, **settings)
    assert len(farms_of(train + val)) == 14 and not farms_of(train + val) & set(UNSEEN)
    assert card["unseen_databases"] == UNSEEN
    with pytest.raises(EssenceError, match=r"no row is about farm_99; .* are about farm_0, farm_1"):
        drawn(unseen_databases=["farm_1", "farm_99"], **settings)


def test_what_may_be_about_an_unseen_database_is_set_aside(tmp_path):
    """Farm 3 is stated nowhere; farm 1's schema is also that of a database `twin_of_1`."""
    stated = [made.raw(n, "Selector", n % 3, n) for n in range(30)]
    stated += [made.raw(90 + n, "Selector", 1, n, db_id="twin_of_1") for n in range(3)]
    lost = [made.raw(n, "Decomposer", n % 2 * 2 + 1, 100 + n) for n in range(30, 40)]
    pool = load_pool(made.rows_parquet(tmp_path, [*stated, *lost]))

    def kept(*unseen):
        why = sampling.set_aside(pool, (), unseen)
        return set(why.index[why == "perhaps about an unseen database"])

    unknown, ambiguous = set(range(31, 40, 2)), set(range(30, 40, 2))
    assert kept("farm_1") == kept("twin_of_1") == unknown | ambiguous
    assert kept("farm_0") == unknown, "those of farm 1 or its twin are about neither"
    assert kept() == set()


def test_a_task_without_test_rows(pool):
    """Then every Refiner row is left to train on, those that share a question included."""
    test = choose_test(pool, {"Selector": 5, "Refiner": 0}, 1)
    assert Counter(pool.task[idx] for idx in test) == {"Selector": 5}
    assert "Refiner" not in set(pool.task[sampling.set_aside(pool, test, ()).index])
    for per_task, words in (
        ({"Selector": 900, "Refiner": 0}, r"900 rows of Selector .* 480 that share no"),
        ({"Refiner": 481}, r"481 rows of Refiner are wanted, there are 480.*test_set.rows.Refiner"),
        ({"Refinery": 1}, "1 rows of Refinery are wanted, there are 0"),
    ):
        with pytest.raises(EssenceError, match=words):
            choose_test(pool, per_task, 1)


@pytest.mark.parametrize("split", ["row", "group", "database"])
def test_a_split_keeps_its_units_on_one_side_and_nothing_of_the_test_set(drawn, test_set, split):
    card, train, val = drawn(test=test_set, sampling="natural", rows=1000, split=split)
    test = pq.read_table(test_set).to_pylist()

    def common(one, other, column):
        return {row[column] for row in one} & {row[column] for row in other} - {None}

    for part in (train, val):
        assert not any(common(part, test, column) for column in ("question", "gold_sql", "idx"))
    assert card["rows"] == {"train": len(train), "val": len(val), "test": 120}
    for kind in ("question", "gold_sql", "database"):
        apart = split == "database" or (split == "group" and kind != "database")
        assert (common(train, val, kind) == set()) == apart
        assert (card["shared"]["train_val"][kind] == 0) == apart
    assert 0.12 < len(val) / 1000 < 0.28


def test_of_two_databases_one_is_held_out_and_one_cannot_be_split(tmp_path, drawn):
    settings = {"sampling": "natural", "rows": 20, "split": "database"}
    path = made.rows_parquet(tmp_path, made.many(2, 30))
    assert drawn(path=path, **settings)[0]["databases"] == {"train": 1, "val": 1}
    path = made.rows_parquet(tmp_path, made.many(1, 30))
    with pytest.raises(EssenceError, match=r"no row is left .*split: row where all are of one"):
        drawn(path=path, **settings)


def test_rows_join_through_questions_and_through_sql():
    questions = ["Who?", "who? ", "When?", "Where?", "", "", None]
    sql = [None, "SELECT 1", "select  1;", "SELECT 2", "SELECT 3", "", None]
    keys = {"question": map(comparable_text, questions), "sql": map(comparable_text, sql)}
    assert list(group_rows(pd.DataFrame(keys, range(10, 17)))) == [10, 10, 10, 13, 14, 15, 16]


def test_samples_that_cannot_be_drawn(tmp_path, drawn, test_set):
    other = made.rows_parquet(tmp_path, [made.raw(9_000_001, "Selector", 1, 1)])
    for settings, words in (
        ({"sampling": "balanced", "rows": 1602}, "534 rows of Refiner are wanted, there are 480;"),
        ({"rows": 2667}, "2667 rows of all tasks are wanted, there are 2400; lower"),
        ({"rows": 3, "validation_share": 0.9}, "no row is left to train"),
        (
            {"sampling": "balanced", "rows": 1599, "test": test_set},
            r"set aside with the test set\).*or test_set.rows",
        ),
        ({"rows": 20, "test": other}, "draw the test set again"),
    ):
        with pytest.raises(EssenceError, match=words):
            drawn(**{"sampling": "natural", **settings})


def test_a_sample_that_lacks_a_tenth_takes_what_there_is_and_says_so(drawn, capsys):
    for settings, what, rows in (
        ({"sampling": "balanced", "rows": 1599}, "Refiner", 53),
        ({"sampling": "natural", "rows": 2666}, "all tasks", 266),
    ):
        card, train, val = drawn(**settings)
        assert card["missing"] == {what: rows}
        assert len(train + val) == settings["rows"] - rows
        assert f"missing: {rows} rows of {what}; there are no more" in capsys.readouterr().out
