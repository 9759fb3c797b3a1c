"""How text meets the model: tokenizers, and the fit audit with what it counts, says and costs."""

import json

import pytest
from material import ROOT
from report_files import recipe
from rouge_score.rouge_scorer import RougeScorer
from sample_rows import SQL, answer, pottery, rows, write
from transformers import AutoTokenizer

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.stage import run_stage
from workflow_scripts.tables import ROWS, write_table
from workflow_scripts.text.fit import RowFile, audit, fit, read_recipe
from workflow_scripts.text.tokenizers import (
    added_tokens,
    decode,
    embedding_rows_needed,
    load_tokenizer,
    round_trips,
)

STANDIN = ROOT / "resources/models/standin"  # its vocabulary has T5's gaps
ANSWERS = [answer(task) for task in TASKS]
AS_RUN, REPAIRED = recipe("as_run"), recipe("repaired")
ODD = [
    "Å Ã 中文 ｆｕｌｌ： ﬁ … ² e\u0301 \u00a0\u3000|\ttab\r\n end  ",
    "{a}^~\\`b`<c<=d<>e``` 【x】",
]


def lossless_one(folder):
    return load_tokenizer(folder, "lossless", ANSWERS + ODD)


def test_lossless_gives_every_answer_back_to_the_byte_also_after_a_reload(tmp_path):
    stock, lossless = load_tokenizer(STANDIN, "stock"), lossless_one(STANDIN)
    assert not any(round_trips(stock, text) for text in ANSWERS)
    assert decode(stock, stock.encode("a < b\n`c`")) == "a  b c"
    lossless.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    for reloaded in (
        lossless,
        AutoTokenizer.from_pretrained(tmp_path),
        load_tokenizer(tmp_path, "lossless"),
        load_tokenizer(tmp_path, "stock"),
    ):
        assert [text for text in ANSWERS + ODD if not round_trips(reloaded, text)] == []
        assert reloaded.get_vocab() == lossless.get_vocab()


def test_lossless_keeps_the_stock_ids_and_adds_only_what_is_needed(tiny):
    stock, lossless = load_tokenizer(STANDIN, "stock"), load_tokenizer(STANDIN, "lossless")
    assert stock.get_vocab().items() <= lossless.get_vocab().items()
    with_odd = load_tokenizer(STANDIN, "lossless", ["Å plain words"])
    assert embedding_rows_needed(with_odd) == embedding_rows_needed(lossless) + 1
    other = load_tokenizer(STANDIN, "lossless", iter([*ODD, *ANSWERS[::-1]]))
    assert other.backend_tokenizer.to_str() == lossless_one(STANDIN).backend_tokenizer.to_str()
    assert decode(lossless, [0, *lossless.encode(SQL), 0, 0]) == SQL, "special tokens are known"
    byte_level = lossless_one(tiny / "chat")
    assert len(byte_level) == len(load_tokenizer(tiny / "chat", "stock"))
    assert all(round_trips(byte_level, text) for text in ANSWERS + ODD)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(EssenceError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path, "stock")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EssenceError, match="cannot be read"):
        load_tokenizer(tmp_path, "stock")


def changed(recipe, **settings):
    return recipe.model_copy(update=settings)


@pytest.fixture
def file(tmp_path):
    return RowFile(write(tmp_path / "rows.jsonl", rows(6, *TASKS)))


@pytest.fixture
def audit_of(tmp_path):
    """The facts of all of some rows."""
    return lambda made, recipe: (
        audit(RowFile(write(tmp_path / "made.jsonl", made)), STANDIN, recipe).all
    )


def test_as_run_leaves_one_input_a_task_and_no_answer(file, tmp_path):
    recipe = changed(AS_RUN, source_tokens=256)  # of the Refiner's prompt, too, the constant part
    found = audit(file, STANDIN, recipe)
    assert found.rows == found.all.rows == 18
    for facts in found.tasks.values():
        assert (facts.distinct_sources, facts.distinct_inputs) == (6, 1)
        assert facts.question_kept == facts.schema_kept == facts.targets_surviving == 0
        assert facts.cut_in == {"constant part": 6} and facts.lost_characters["\n"] > 0
    assert found.tasks["Refiner"].old_sql_kept == 0
    assert found.tasks["Selector"].old_sql_kept is None
    assert not found.learning_possible
    assert sum("distinct" in warning for warning in found.warnings) == 3
    write_table(tmp_path / "rows.parquet", file, ROWS)
    assert audit(RowFile(tmp_path / "rows.parquet"), STANDIN, recipe) == found


def test_inputs_and_texts_are_those_that_training_sees(audit_of):
    """Against the plain way: the tokenizer's own truncation, then decode, then rouge_score."""
    recipe = changed(
        AS_RUN, source_tokens=700, target_tokens=50, tokenizer="lossless", generate_tokens=40
    )
    made = rows(5, "Refiner")
    sources, targets = ([row[part] for row in made] for part in ("source", "target"))
    targets = [target.removesuffix("</s>") for target in targets]
    found = audit_of(made, recipe)
    tokenizer = load_tokenizer(STANDIN, "lossless", targets)
    ids = tokenizer(sources, truncation=True, max_length=700)["input_ids"]
    labels = tokenizer(targets, truncation=True, max_length=50)["input_ids"]
    best = [decode(tokenizer, label[:40]) for label in labels]
    score = RougeScorer(["rougeL"], use_stemmer=True).score
    expected = [score(t, b)["rougeL"].fmeasure for t, b in zip(targets, best, strict=True)]
    assert found.distinct_inputs == len(set(map(tuple, ids)))
    assert found.targets_cut == 5 and found.longer_than_generation == 1
    assert found.max_rouge_l == pytest.approx(sum(expected) / 5)
    assert found.max_exact_match == 0
    assert found.target_tokens.max == max(len(tokenizer.encode(t)) for t in targets)


def test_a_cut_is_found_in_the_right_section(audit_of):
    made = rows(1, "Refiner")
    source, encode = made[0]["source"], load_tokenizer(STANDIN, "stock").encode
    marks = {"question": "【Query】", "schema": "【Database info】", "old_sql": "【old SQL】"}
    for section, mark in marks.items():
        upto = len(encode(source[: source.rindex(mark) + len(mark) + 8]))
        facts = audit_of(made, changed(AS_RUN, source_tokens=upto))
        assert facts.cut_in == {section: 1} and facts.old_sql_kept == 0
        assert facts.question_kept == (section != "question")
        assert facts.schema_kept == (section == "old_sql")
    for prompt, tokens, kept in (("compact", 200, 4), ("own", 30, 0)):
        short = changed(REPAIRED, prompt=prompt, source_tokens=tokens)
        facts = audit_of(rows(4, "Selector"), short)
        assert facts.cut_in == {"schema": 4} and facts.distinct_sources == 4
        assert (facts.question_kept, facts.schema_kept) == (kept, 0)


def test_equal_inputs_share_one_answer(audit_of):
    answers = [answer("Refiner", pottery(number)) for number in (1, 1, 2, 3)]
    answers[1] += "\n"  # outer white space does not count
    made = [row | {"target": text} for row in rows(1, "Refiner") for text in answers]
    facts = audit_of(made, REPAIRED)
    assert (facts.max_exact_match, facts.max_exact_match_given_inputs) == (1, 0.5)
    assert facts.old_sql_kept == 4 and facts.lost_characters == {}


def test_the_command(file, tmp_path, capsys, monkeypatch):
    def run(*arguments):
        given = ["fit", "--rows", file.path, "--tokenizer", STANDIN, *arguments]
        monkeypatch.setattr("sys.argv", list(map(str, given)))
        with pytest.raises(SystemExit) as end:
            run_stage(fit)
        return end.value.code, *capsys.readouterr()

    with open(file.path, "a") as handle:
        handle.write('{"messages": 3}\nnot json\n')
    out = tmp_path / "fit.json"
    code, said, warned = run("--recipe", "as_written", "--json", "--out", out)
    assert code == 0 and json.loads(said) == json.loads(out.read_text())
    assert "makes learning impossible" in warned and "2 lines could not be read" in warned
    assert "line 19" in warned
    code, said, warned = run("--recipe", REPAIRED.model_dump_json())
    assert "distinct inputs" in said and "impossible" not in warned
    file.path.write_text('{"source": "Hello", "target": "x"}\n')
    code, said, warned = run("--recipe", "as_written")
    assert code == 2 and "no row can be read. The first: line 1: unknown task" in warned


def test_what_is_no_recipe_is_named():
    with pytest.raises(EssenceError, match=r"no recipe 'as_wished'; there are .*as_written"):
        read_recipe("as_wished", ROOT / "config.yaml")
    with pytest.raises(EssenceError, match=r"--recipe: .*unknown key sorce_tokens. Known here"):
        read_recipe('{"sorce_tokens": 1}', ROOT / "config.yaml")
    with pytest.raises(EssenceError, match=r"none\.yaml: no such"):
        read_recipe("repaired", ROOT / "none.yaml")


def test_real_rows_with_a_real_tokenizer(real_rows):
    folder, targets = real_rows.tokenizer, real_rows.answers
    stock, lossless = (load_tokenizer(folder, kind, targets) for kind in ("stock", "lossless"))
    first, needed = embedding_rows_needed(stock), embedding_rows_needed(lossless)
    similar = added_tokens(folder, lossless)
    assert list(similar) == list(range(first, needed)) and needed == first + 18
    assert similar[lossless.convert_tokens_to_ids("`")] == stock.get_vocab()['"']
    found = audit(RowFile(real_rows.file), folder, AS_RUN)
    assert {facts.distinct_inputs for facts in found.tasks.values()} == {1}
    assert found.all.targets_surviving == found.all.question_kept == 0
    found = audit(RowFile(real_rows.file), folder, REPAIRED)
    facts = found.all
    assert found.learning_possible
    assert facts.max_exact_match == facts.max_rouge_l == facts.max_rouge_l_decoded == 1
    assert facts.rows == facts.distinct_inputs == facts.targets_surviving == 5
    assert facts.question_kept == facts.schema_kept == 5 and facts.sources_cut == 0
    assert found.embedding_rows.needed <= found.embedding_rows.model
