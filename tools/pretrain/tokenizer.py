"""The stand-in model's tokenizer: of T5's kind, with T5's gaps.

Like T5's it is a Unigram model behind a Metaspace pre-tokenizer whose normalizer folds line
breaks and runs of spaces into one space, and its vocabulary was gathered from text in which
nobody writes backticks, braces or `<`: so it has no piece for them and reads them as <unk>.
T5's pieces come from web pages, ours from the questions and SQL of the pre-training.
"""

import re
from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

SPACE = "▁"
SENTINELS = 10
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"()[]>=+-*/%&#@$_|"
)
# Whole words and numbers; a word's pieces differ by what stands before it.
PIECE = re.compile(rf"[{SPACE}_]?[A-Za-z]+|[{SPACE}-]?\d+|{SPACE}?[^\w\s{SPACE}]")
FIXED = ["▁T1", "▁T2", "▁T3", "▁T1.", "▁T2.", "▁T3.", "T1.", "T2.", "T3.", "(*)"]


def most_frequent(texts: Iterable[str], size: int, rare: int) -> list[str]:
    """All single characters, then the whole words and numbers seen more than `rare` times."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(PIECE.findall(SPACE + re.sub(r"\s+", SPACE, text)))
    allowed = set(CHARACTERS) | {SPACE}
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    whole = [piece for piece, count in ranked if count > rare and set(piece) <= allowed]
    return list(dict.fromkeys([SPACE, *CHARACTERS, *FIXED, *whole]))[:size]


def make_tokenizer(pieces: Iterable[str]) -> PreTrainedTokenizerFast:
    """Ids as in T5: 0 <pad>, 1 </s>, 2 <unk>, then the pieces, then the sentinels from the last.

    All pieces of more than one character score alike, so the split with the fewest wins.
    """
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(piece, -10.0 if len(piece) > 1 else -11.0) for piece in pieces]
    sentinels = [f"<extra_id_{number}>" for number in reversed(range(SENTINELS))]
    vocabulary += [(sentinel, 0.0) for sentinel in sentinels]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), SPACE),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    special = ["<pad>", "</s>", "<unk>", *sentinels]
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=[f"<extra_id_{number}>" for number in range(SENTINELS)],
        model_max_length=512,
    )
