"""The page of predictions that are not right: what is wrong with each, and browsing it."""

import json
import re

import pytest
from material import made_database
from report_browser import MISSING, Browser

from workflow_scripts.errors import EssenceError
from workflow_scripts.files import write_jsonl
from workflow_scripts.metrics.score import score
from workflow_scripts.report.browse import SHOWN, browse

LABELS = ["hardness", "kind of error", "search in question, gold and answers"]
GOLD = "SELECT name, price FROM item"
WRONG = {  # prediction -> kind of error
    "SELECT name, price FROM item WHERE id > 9": "wrong: returns nothing",
    "SELECT name FROM item": "wrong: number of columns",
    "SELECT price, name FROM item": "wrong: order of columns",
    "SELECT name, price FROM item WHERE id = 1": "wrong: rows missing",
    f"{GOLD} UNION ALL SELECT 1, '</script><b>'": "wrong: rows too many",
    "SELECT name, id FROM item": "wrong: other values",
    "SELECT ghost FROM item": "error: no such column",
    "SELECT name FROM item WHERE": "error: incomplete input",
    "SELECT name item id FROM": "error: syntax error",
    "DROP TABLE item": "refused",
    "": "no sql",
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The verdicts on one file of right predictions, those of WRONG, and gold SQL that fails."""
    folder = tmp_path_factory.mktemp("judged")
    made_database(
        folder / "shop/shop.sqlite",
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL);"
        "INSERT INTO item VALUES (1, 'pen', 1.5), (2, NULL, 4);",
    )
    lines = [{"gold": GOLD, "prediction": sql} for sql in (GOLD, *WRONG)]
    lines.append({"gold": "SELECT '\ud800'", "prediction": GOLD})
    write_jsonl(folder / "p.jsonl", [{"db_id": "shop", "question": "Which?"} | x for x in lines])
    score(folder, [folder / "p.jsonl"], rows=folder / "rows.jsonl", repeat=0)
    return folder / "rows.jsonl"


def test_every_prediction_that_is_not_right_has_its_kind_of_error_and_both_results(
    judged, tmp_path
):
    browse(judged, judged.parent, tmp_path / "errors.html")
    text = (tmp_path / "errors.html").read_text()
    assert "<title>12 of 13 predictions are not right</title>" in text and "src=" not in text
    data = json.loads(re.search(r"const DATA = (.*), PAGE = ", text)[1])
    kinds = {each["prediction"] or "": each["quality"] for each in data["answers"]}
    assert kinds == WRONG | {GOLD: "gold fails"}
    of_gold = {"columns": ["name", "price"], "rows": [["pen", "1.5"], ["NULL", "4.0"]], "count": 2}
    assert [row["result"] for row in data["rows"][:-1]] == [of_gold] * len(WRONG)
    results = {each["prediction"]: each["result"] for each in data["answers"]}
    assert results["SELECT ghost FROM item"] == {"error": "no such column: ghost"}
    assert set(data["qualities"]) == set(kinds.values()) and len(of_gold["rows"]) < SHOWN


def test_an_input_is_kept_and_a_line_that_is_no_verdict_is_named(judged, tmp_path):
    with pytest.raises(EssenceError, match="this is an input"):
        browse(judged, judged.parent, judged)
    message = r"p\.jsonl: no error in it; give what metrics\.score --rows"
    with pytest.raises(EssenceError, match=message):
        browse(judged.with_name("p.jsonl"), tmp_path, tmp_path / "errors.html")


@pytest.mark.browser
@pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)}")
def test_a_kind_of_error_is_chosen_in_the_browser(judged, tmp_path):
    page, gold = tmp_path / "errors.html", ["pen", "1.5", "NULL", "4.0"]
    browse(judged, judged.parent, page)
    choose = "const box = document.getElementById('p-quality'); box.value = arguments[0];"
    choose += "box.dispatchEvent(new Event('input'));"
    choose += "return document.getElementById('p-count').textContent"
    shown = "return [...document.querySelectorAll('#p-list td')].map(each => each.innerText)"
    labels = "return [...document.querySelectorAll('.controls label')]"
    labels += ".filter(each => !each.hidden).map(each => each.firstChild.textContent)"
    with Browser(tmp_path / "profile") as browser:
        for width in (1280, 390):
            browser.resize(width, 900)
            browser.open(page)
            assert browser.script("return document.documentElement.scrollWidth") <= width
            assert browser.script(labels) == LABELS
            assert browser.script(choose, "wrong: rows too many") == "1 to 1 of 1 rows"
            assert browser.script(shown) == [*gold, *gold, "1", "</script><b>"]
        assert browser.errors() == []
