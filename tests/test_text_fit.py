"""The fit audit: what it counts, what it says, what it costs."""

import json

import pytest
from material import ROOT
from rouge_score.rouge_scorer import RougeScorer
from sample_rows import answer, pottery, rows, write_rows
from t5_like_tokenizer import model_dir  # noqa: F401  (a fixture)

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.settings import Recipe
from workflow_scripts.stage import run_stage
from workflow_scripts.tables import ROWS, write_table
from workflow_scripts.text.fit import RowFile, audit, fit, read_recipe
from workflow_scripts.text.preprocessing import source_text
from workflow_scripts.text.tokenizers import decode, embedding_rows_needed, load_tokenizer

AS_RUN = Recipe(
    name="as_run", prompt="full", source_tokens=512, target_tokens=512,
    tokenizer="stock", padding_in_loss=True, generate_tokens=128,
)  # fmt: skip
REPAIRED = Recipe(
    name="repaired", prompt="compact", source_tokens=1024, target_tokens=512,
    tokenizer="lossless", padding_in_loss=False, generate_tokens=512,
)  # fmt: skip


def changed(recipe, **settings):
    return recipe.model_copy(update=settings)


@pytest.fixture
def file(tmp_path):
    return RowFile(write_rows(tmp_path / "rows.jsonl", rows(6, *TASKS)))


@pytest.fixture
def audit_of(model_dir, tmp_path):  # noqa: F811
    """The facts of the only task among made-up rows."""

    def of(made, recipe):
        file = write_rows(tmp_path / "made.jsonl", made)
        (facts,) = audit(RowFile(file), model_dir, recipe).tasks.values()
        return facts

    return of


def test_as_run_leaves_one_input_a_task_and_no_answer(model_dir, file, tmp_path):  # noqa: F811
    found = audit(file, model_dir, AS_RUN)
    assert found.rows == found.all.rows == 18
    for task in TASKS:
        facts = found.tasks[task]
        assert (facts.distinct_sources, facts.distinct_inputs) == (6, 1)
        assert facts.question_kept == facts.schema_kept == 0
        assert facts.cut_in == {"constant part": 6}
        assert facts.targets_surviving == facts.max_exact_match == 0
        assert facts.lost_characters["\n"] > 0
    assert found.tasks["Refiner"].old_sql_kept == 0
    assert found.tasks["Selector"].old_sql_kept is None
    assert not found.learning_possible
    assert sum("distinct" in warning for warning in found.warnings) == 3
    write_table(tmp_path / "rows.parquet", file, ROWS)
    assert audit(RowFile(tmp_path / "rows.parquet"), model_dir, AS_RUN) == found


def test_repaired_keeps_everything(model_dir, file):  # noqa: F811
    with open(file.path, "a") as handle:
        handle.write('{"messages": 3}\nnot json\n')
    found = audit(file, model_dir, REPAIRED)
    for facts in found.tasks.values():
        assert facts.distinct_inputs == facts.question_kept == facts.schema_kept == 6
        assert facts.targets_surviving == 6
        assert facts.sources_cut == facts.targets_cut == 0
        for score in ("exact_match", "exact_match_given_inputs", "rouge_l", "rouge_l_decoded"):
            assert getattr(facts, f"max_{score}") == 1
    assert found.tasks["Refiner"].old_sql_kept == 6
    assert found.learning_possible and found.all.lost_characters == {}
    assert (found.rows, found.unreadable) == (18, 2) and "line 19" in found.warnings[-1]


def test_inputs_and_texts_are_those_that_training_sees(model_dir, audit_of):  # noqa: F811
    """Against the plain way: the tokenizer's own truncation, then decode, then rouge_score."""
    recipe = changed(
        AS_RUN, source_tokens=900, target_tokens=70, tokenizer="lossless", generate_tokens=50
    )
    made = rows(5, "Refiner")
    targets = [target for _, _, target in made]
    found = audit_of(made, recipe)
    tokenizer = load_tokenizer(model_dir, "lossless", targets)
    ids = tokenizer([source for _, source, _ in made], truncation=True, max_length=900)["input_ids"]
    labels = tokenizer(targets, truncation=True, max_length=70)["input_ids"]
    best = [decode(tokenizer, label[:50]) for label in labels]
    score = RougeScorer(["rougeL"], use_stemmer=True).score
    expected = [score(t, b)["rougeL"].fmeasure for t, b in zip(targets, best, strict=True)]
    assert found.distinct_inputs == len(set(map(tuple, ids)))
    assert found.targets_cut == 5 and found.longer_than_generation == 1
    assert found.max_rouge_l == pytest.approx(sum(expected) / 5)
    assert found.max_exact_match == 0
    assert found.target_tokens.max == max(len(tokenizer.encode(t)) for t in targets)


@pytest.mark.parametrize(
    ("section", "mark"),
    [
        ("question", "【Query】"),
        ("schema", "【Database info】"),
        ("foreign_keys", "【Foreign keys】"),
        ("old_sql", "【old SQL】"),
    ],
)
def test_the_cut_is_found_in_the_right_section(model_dir, audit_of, section, mark):  # noqa: F811
    ((task, source, target),) = rows(1, "Refiner")
    tokenizer = load_tokenizer(model_dir, "stock")
    upto = len(tokenizer(source[: source.rindex(mark) + len(mark) + 8])["input_ids"])
    facts = audit_of([(task, source, target)], changed(AS_RUN, source_tokens=upto))
    assert facts.cut_in == {section: 1}
    assert facts.question_kept == (section != "question")
    assert facts.schema_kept == (section in ("foreign_keys", "old_sql"))
    assert facts.old_sql_kept == 0


def test_what_a_compact_prompt_and_the_own_sections_lose(audit_of):
    made = rows(4, "Selector")
    facts = audit_of(made, changed(REPAIRED, source_tokens=200))
    assert (facts.question_kept, facts.schema_kept, facts.distinct_inputs) == (4, 0, 4)
    assert facts.cut_in == {"schema": 4}
    own = changed(REPAIRED, prompt="own")
    for _, source, _ in made:
        text = source_text(own, source)
        assert source.endswith(text) and text.startswith("【DB_ID】")
    facts = audit_of(made, own)
    assert facts.distinct_inputs == facts.question_kept == facts.schema_kept == 4
    assert facts.sources_cut == 0
    facts = audit_of(made, changed(own, source_tokens=30))
    assert facts.cut_in == {"schema": 4} and facts.question_kept == 0


def test_equal_inputs_share_one_answer(audit_of):
    ((task, source, _),) = rows(1, "Refiner")
    made = [(task, source, answer("Refiner", pottery(number))) for number in (1, 1, 2, 3)]
    made[1] = (task, source, made[1][2] + "\n")  # outer white space does not count
    facts = audit_of(made, REPAIRED)
    assert (facts.max_exact_match, facts.max_exact_match_given_inputs) == (1, 0.5)


def test_a_file_without_rows_is_an_error(model_dir, tmp_path):  # noqa: F811
    (tmp_path / "bad.jsonl").write_text('{"source": "Hello", "target": "x"}\n')
    with pytest.raises(EssenceError, match=r"no row can be read.*line 1.*unknown task"):
        audit(RowFile(tmp_path / "bad.jsonl"), model_dir, AS_RUN)
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(EssenceError, match=r"bad\.parquet: not a Parquet"):
        audit(RowFile(tmp_path / "bad.parquet"), model_dir, AS_RUN)


def test_a_vocabulary_larger_than_the_embedding_is_said(model_dir, tmp_path):  # noqa: F811
    ((task, source, _),) = rows(1, "Refiner")
    hundred_signs = "".join(map(chr, range(0x4E00, 0x4E64)))
    made = [(task, source, f"\n```sql\nSELECT '{hundred_signs}'\n```\n")]
    found = audit(RowFile(write_rows(tmp_path / "r.jsonl", made)), model_dir, REPAIRED)
    assert found.embedding_rows.needed > found.embedding_rows.model == 128
    assert any("must resize" in warning for warning in found.warnings)


def test_the_command(model_dir, file, tmp_path, capsys, monkeypatch):  # noqa: F811
    def run(*arguments):
        given = ["fit", "--rows", file.path, "--tokenizer", model_dir, *arguments]
        monkeypatch.setattr("sys.argv", list(map(str, given)))
        with pytest.raises(SystemExit) as end:
            run_stage(fit)
        return end.value.code, *capsys.readouterr()

    out = tmp_path / "fit.json"
    code, said, warned = run("--recipe", "as_written", "--json", "--out", out)
    assert code == 0 and json.loads(said) == json.loads(out.read_text())
    assert "makes learning impossible" in warned and "!!!!" in warned
    code, said, warned = run("--recipe", REPAIRED.model_dump_json())
    assert "distinct inputs" in said and "impossible" not in warned
    code, said, warned = run("--recipe", "as_wished")
    assert code == 2 and "as_wished" in warned and "as_written" in warned


def test_recipes_of_the_configuration_and_wrong_ones(tmp_path):
    assert read_recipe("repaired", ROOT / "config.yaml").prompt == "compact"
    good = AS_RUN.model_dump()
    assert read_recipe(json.dumps(good), tmp_path / "none.yaml") == AS_RUN
    for change, said in [
        ({"prompt": "short"}, "prompt: .*'full', 'own' or 'compact'"),
        ({"source_tokens": "512"}, "source_tokens: .*integer"),
        ({"generate_tokens": 0}, "generate_tokens: .*greater than or equal to 1"),
        ({"sorce_tokens": 1}, "the whole: unknown key sorce_tokens. Known here: gen"),
    ]:
        with pytest.raises(EssenceError, match=f"--recipe: {said}"):
            read_recipe(json.dumps(good | change), tmp_path / "none.yaml")
    with pytest.raises(EssenceError, match=r"none\.yaml: no such"):
        read_recipe("repaired", tmp_path / "none.yaml")


def test_real_rows_with_a_real_tokenizer(real_rows):
    found = audit(RowFile(real_rows.file), real_rows.tokenizer, AS_RUN)
    assert {task: facts.distinct_inputs for task, facts in found.tasks.items()} == {
        "Selector": 1,
        "Decomposer": 1,
    }
    assert found.all.targets_surviving == found.all.question_kept == 0
    found = audit(RowFile(real_rows.file), real_rows.tokenizer, REPAIRED)
    facts = found.all
    assert facts.rows == facts.distinct_inputs == facts.targets_surviving == 5
    assert facts.question_kept == facts.schema_kept == 5 and facts.sources_cut == 0
    stock = embedding_rows_needed(load_tokenizer(real_rows.tokenizer, "stock"))
    assert found.embedding_rows.needed == stock + 18 <= found.embedding_rows.model
