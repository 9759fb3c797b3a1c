"""The stand-in model's card, with the measured numbers filled in."""

from workflow_scripts.artifacts.pretraining import Pretraining
from workflow_scripts.data.twin import corpus

CARD = """\
# The stand-in base model

A small T5 that writes SQL for a question about a database it is shown. It stands in for
`cssupport/t5-small-awesome-text-to-sql`, the base model of the report "Fine-Tuning On Essence",
wherever that model cannot be had or would be too slow: the code is the same, only sizes differ.
It is made for this project's default run and its tests, and of no use for anything else.

| | stand-in | the report's model |
| --- | --- | --- |
| parameters | {parameters:,} | 60.5 million |
| layers, width | {num_layers}+{num_layers}, {d_model} | 6+6, 512 |
| heads, feed-forward | {num_heads}, {d_ff} | 8, 2,048 |
| tokens, embedding rows | {tokens:,}, {embedding_rows:,} | 32,100, 32,128 |

## How it was made
`python -m workflow_scripts.model.pretrain --out <folder> --settings '{settings}'`
(or `snakemake pretrain`): {examples:,} examples in {steps:,} steps of {batch_size}, seed {seed},
AdamW at {learning_rate} with {warmup_steps} steps of warm-up and a linear decay, bf16 autocast on
the CPU, no dropout. Embeddings of a word's forms ("price", "_price") start alike, and half of the
attention heads start by attending to equal contents (`model/standin/initialisation.py` says why).
The last loss is {loss} a target token. Steps end the training, not time, and the order of the data
follows from the seed.

## On what
Generated text alone, no row of any published data set. Each example has a random schema of two to
four tables, put together from the lexicon of `workflow_scripts/data/twin/lexicon.py` and single
columns of the hand-made domains; a question from the grammar in `questions.py`, perhaps with
evidence; and its SQL on one line. No example is repeated. The twin's databases were not trained
on.

T5 has read texts of all kinds; this model has not, and would fail as soon as an answer is more
than one query. It is therefore trained on the agents' tasks too, in formats of its own, since its
vocabulary cannot write theirs:

{kinds}

**What a run with this model shows is whether a recipe lets a model use what it can do, not how fast
T5-small learns the three tasks.**

Source: `Query: question | evidence: ... | tables: t: c, c2 ('value') | t2: ... | keys: a.x = b.y`,
cut at {source_tokens} tokens. Target: SQL on one line, names in double quotes.

## Measured
Execution accuracy (equal sets of rows) with greedy decoding, on questions of the same grammar,
`<` included, 95% Wilson interval:

| databases | questions | execution accuracy | interval | exact match |
| --- | --- | --- | --- | --- |
| held-out random schemas | {random.n} | {random.execution_accuracy:.3f} | {random.low:.3f} to {random.high:.3f} | {random.exact_match:.3f} |
| the twin's {domains} domains | {twin.n} | {twin.execution_accuracy:.3f} | {twin.low:.3f} to {twin.high:.3f} | {twin.exact_match:.3f} |

It has not been trained on the agents' prompts (Selector, Decomposer, Refiner): it never writes an
answer in the format that they ask for.

## What it cannot write, and why
Its vocabulary was gathered from the pre-training text, in which nobody writes a backtick, a brace,
`<`, `\\`, `^`, `~`, the brackets U+3010 and U+3011 or a line break; so it has no tokens for them,
reads them as `<unk>` and can never write them. T5's vocabulary was gathered in the same way, from
cleaned web pages, and lacks the same characters. Hence it can write neither `<` comparisons nor the
agents' fenced answers until a tokenizer adds those characters, for which the embedding has unused
rows.
"""  # noqa: E501 - a table's row is one line


EXAMPLES = {
    "query": "a question | its SQL",
    "steps": "a question | sub-questions, each with its SQL; the last is the question itself",
    "tables": "a question | every table, with those of its columns that are needed",
    "repair": "SQL that SQLite refuses, and its error | the query that was meant",
    "restore": "a text with masked words, as in T5's own pre-training | the text",
}


def _kinds() -> str:
    lines = (
        f"| `{kind}` | {share:.0%} | {EXAMPLES[kind]} |" for kind, share in corpus.KINDS.items()
    )
    return "\n".join(["| kind | share | input | target |", "| --- | --- | --- | --- |", *lines])


def card(facts: Pretraining) -> str:
    """The card as Markdown."""
    return CARD.format(
        **facts.shape,
        **facts.settings.model_dump(
            include={
                "seed",
                "steps",
                "batch_size",
                "learning_rate",
                "warmup_steps",
                "source_tokens",
            }
        ),
        kinds=_kinds(),
        settings=f'{{"seed": {facts.settings.seed}}}',
        parameters=facts.parameters,
        tokens=facts.tokens,
        embedding_rows=facts.embedding_rows,
        examples=facts.examples,
        loss=facts.history[-1].loss,
        random=facts.measured.random_schemas,
        twin=facts.measured.twin_domains,
        domains=facts.measured.domains,
    )
