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
def tested(rows_path, tmp_path):
    """Draw test rows to the file `test`; gives their card, and the rows of test and unseen."""

    def do(per_task=PER_TASK, unseen_databases=()):
        outs = [tmp_path / name for name in ("test", "unseen", "test.card")]
        draw_test(rows_path, *outs, per_task, 7, unseen_databases)
        return read_json(outs[2]), *(pq.read_table(out).to_pylist() for out in outs[:2])

    return do


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
    shuffled = tmp_path / "shuffled"
    pq.write_table(table.take(order), shuffled)
    one, other = card["sha256"], drawn(name="b", path=shuffled, **settings)[0]["sha256"]
    assert one["input"] != other["input"]
    assert (one["train"], one["val"]) == (other["train"], other["val"])


def test_every_row_has_the_same_chance_in_every_draw(rows_path):
    pool = load_pool(rows_path)
    times = Counter()
    for number in range(60):
        chance = {"draw": number} if number % 2 else {"seed": number}
        settings = SampleSettings(sampling="natural", rows=600, **chance)
        times.update(choose_sample(pool, set(), settings)[0])
    assert abs(sum(times[idx] for idx in range(0, 1200)) / 1200 - 60 * 600 / len(pool)) < 1
    assert max(times.values()) < 32


def test_the_test_set_has_its_counts_and_its_card(rows_path, tested, tmp_path):
    card, test, unseen = tested()
    assert count(test) == PER_TASK == card["tasks"]["test"]
    sums = {"input": sha256(rows_path), "test": sha256(tmp_path / "test")}
    assert sums.items() <= card["sha256"].items()
    assert card["shared"]["test_rest"]["question"] == card["shared"]["test_rest"]["gold_sql"] == 0
    assert sum(card["rows"].values()) + sum(card["set_aside"].values()) == 2400
    # 60 groups at least are needed for 30 Refiner rows; thrift: not many more are touched
    assert card["set_aside"]["same question or SQL as a test row"] < 130
    assert card["rows"]["unseen"] == 0 == len(unseen)
    assert pq.read_schema(tmp_path / "unseen") == pq.read_schema(rows_path)


def farms_of(rows):
    return {f"farm_{row['question'].split()[5]}" for row in rows}


def test_no_sample_row_is_of_an_unseen_database(tested, drawn, tmp_path, capsys):
    of_unseen = ["farm_3", "farm_11"]
    facts, test, unseen = tested(PER_TASK, of_unseen)
    assert count(test) == count(unseen) == PER_TASK
    assert farms_of(unseen) == set(of_unseen) and not farms_of(test) & set(of_unseen)
    assert facts["set_aside"]["about an unseen database"] == 300 - 120
    settings = {"sampling": "natural", "rows": facts["rows"]["rest"]}
    card, train, val = drawn(test=tmp_path / "test", unseen_databases=of_unseen, **settings)
    assert len(farms_of(train + val)) == 14 and not farms_of(train + val) & set(of_unseen)
    assert card["unseen_databases"] == of_unseen
    with pytest.raises(EssenceError, match=r"no row is about farm_99; .* are about farm_0, farm_1"):
        drawn(unseen_databases=["farm_1", "farm_99"], **settings)
    _, _, unseen = tested({"Refiner": 100}, ["farm_3"])
    assert count(unseen)["Refiner"] == 30
    assert "unseen: 100 rows of Refiner are wanted, there are 30" in capsys.readouterr().out


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


def test_a_task_without_test_rows(rows_path):
    """Then every Refiner row is left to train on, those that share a question included."""
    pool = load_pool(rows_path)
    test = choose_test(pool, {"Selector": 5, "Refiner": 0}, 1)
    assert Counter(pool.task[idx] for idx in test) == {"Selector": 5}
    assert "Refiner" not in set(pool.task[sampling.set_aside(pool, test, ()).index])
    with pytest.raises(EssenceError, match=r"900 rows of Selector .* 480 that share no"):
        choose_test(pool, {"Selector": 900, "Refiner": 0}, 1)
    with pytest.raises(EssenceError, match=r"481 .*, there are 480.*test_set.rows.Refiner"):
        choose_test(pool, {"Refiner": 481}, 1)


@pytest.mark.parametrize("split", ["row", "group", "database"])
def test_a_split_keeps_its_units_on_one_side_and_nothing_of_the_test_set(
    drawn, tested, tmp_path, split
):
    _, test, _ = tested()
    card, train, val = drawn(test=tmp_path / "test", sampling="natural", rows=1000, split=split)

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


def test_of_two_databases_one_is_held_out(tmp_path, drawn):
    path = made.rows_parquet(tmp_path, made.many(2, 30))
    card, *_ = drawn(path=path, sampling="natural", rows=20, split="database")
    assert card["databases"] == {"train": 1, "val": 1}


def test_rows_join_through_questions_and_through_sql():
    questions = ["Who?", "who? ", "When?", "Where?", "", "", None]
    sql = [None, "SELECT 1", "select  1;", "SELECT 2", "SELECT 3", "", None]
    keys = {"question": map(comparable_text, questions), "sql": map(comparable_text, sql)}
    assert list(group_rows(pd.DataFrame(keys, range(10, 17)))) == [10, 10, 10, 13, 14, 15, 16]


def test_samples_that_cannot_be_drawn(tmp_path, drawn, tested):
    tested()
    test, other = tmp_path / "test", made.rows_parquet(tmp_path, [made.raw(-1, "Selector", 1, 1)])
    for settings, words in (
        ({"sampling": "balanced", "rows": 1602}, "534 rows of Refiner are wanted, there are 480;"),
        ({"rows": 2667}, "2667 rows of all tasks are wanted, there are 2400; lower"),
        ({"rows": 3, "validation_share": 0.9}, "no row is left .*split: row where all are of"),
        ({"sampling": "balanced", "rows": 1599, "test": test}, "set aside with the test set"),
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
