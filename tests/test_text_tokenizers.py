"""Tokenizers: what stock loses, and a lossless one that stays lossless."""

import pytest
from material import ROOT
from sample_rows import SQL, answer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.text.tokenizers import (
    added_tokens,
    decode,
    embedding_rows_needed,
    load_tokenizer,
    round_trips,
)

STANDIN = ROOT / "resources/models/standin"  # its vocabulary has T5's gaps
ANSWERS = [answer(task) for task in TASKS]
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
        PreTrainedTokenizerFast.from_pretrained(tmp_path),
        AutoTokenizer.from_pretrained(tmp_path),
        load_tokenizer(tmp_path, "lossless"),
        load_tokenizer(tmp_path, "stock"),
    ):
        assert [text for text in ANSWERS + ODD if not round_trips(reloaded, text)] == []
        assert reloaded.get_vocab() == lossless.get_vocab()


def test_lossless_keeps_the_stock_ids_and_adds_only_what_is_needed():
    stock, lossless = load_tokenizer(STANDIN, "stock"), load_tokenizer(STANDIN, "lossless")
    assert stock.get_vocab().items() <= lossless.get_vocab().items()
    assert embedding_rows_needed(lossless) == embedding_rows_needed(stock) + 18
    with_odd = load_tokenizer(STANDIN, "lossless", ["Å plain words"])
    assert embedding_rows_needed(with_odd) == embedding_rows_needed(lossless) + 1
    other = load_tokenizer(STANDIN, "lossless", iter([*ODD, *ANSWERS[::-1]]))
    assert other.backend_tokenizer.to_str() == lossless_one(STANDIN).backend_tokenizer.to_str()
    assert (lossless.pad_token_id, lossless.eos_token_id, lossless.unk_token_id) == (0, 1, 2)
    assert decode(lossless, [0, *lossless.encode(SQL), 0, 0]) == SQL


def test_a_byte_level_tokenizer_is_left_as_it_is(tiny):
    stock, lossless = load_tokenizer(tiny / "chat", "stock"), lossless_one(tiny / "chat")
    assert len(lossless) == len(stock)
    assert all(round_trips(lossless, text) for text in ANSWERS + ODD)


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path):
    with pytest.raises(EssenceError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path, "stock")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EssenceError, match="cannot be read"):
        load_tokenizer(tmp_path, "stock")


def test_a_real_tokenizer_and_real_targets(real_rows):
    folder, targets = real_rows.tokenizer, real_rows.answers
    stock = load_tokenizer(folder, "stock")
    assert sum(round_trips(stock, text) for text in targets) == 0
    known, lossless = stock.get_vocab(), load_tokenizer(folder, "lossless", targets)
    assert all(round_trips(lossless, text) for text in targets)
    first, needed = embedding_rows_needed(stock), embedding_rows_needed(lossless)
    assert first + 18 == needed
    similar = added_tokens(folder, lossless)
    assert sorted(similar) == list(range(first, needed))
    assert similar[lossless.convert_tokens_to_ids("`")] == known['"']
