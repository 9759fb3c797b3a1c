"""The stand-in model's card, with the measured numbers filled in."""

from workflow_scripts.artifacts.pretraining import Measured, Pretraining
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
(or `snakemake pretrain`): {examples:,} examples in {cycles} cycles of {steps:,} steps of
{batch_size}, seed {seed}, AdamW at {learning_rate}, in each cycle {warmup_steps} steps of warm-up and a linear
decay, bf16 autocast on the CPU, without dropout; and so it is fine-tuned. (With T5's dropout of 0.1
in fine-tuning, a model of this size copies badly: the embedded default's long run under `repaired`
then gave 11 of 90 test answers exactly, without dropout 41; one seed.) Embeddings of a word's forms
("price", "_price") start alike, and half of the attention heads start by attending to equal contents (`model/standin/initialisation.py` says why).
The last loss is {loss} a target token. Steps end the training, not time, and the order of the data
follows from the seed.

## On what
Generated text alone, no row of any published data set. Each example has a random schema of two to
four tables, put together from the lexicon of `workflow_scripts/data/twin/lexicon.py` and single
columns of the hand-made domains in `domains.txt`; a question from the grammar in `questions.py`,
perhaps with evidence; and its SQL on one line. No example is repeated. The twin's databases were not
trained on, and of those in `unseen_domains.txt` not even the words, unless the lexicon has them.

T5 has read texts of all kinds; this model has not, and would fail as soon as an answer is more
than one query. It is therefore trained on the agents' tasks too, in formats of its own, since its
vocabulary cannot write theirs:

{kinds}

**The grammar that asks these questions also asks the twin's, so how well a fine-tuned run answers there is
built in. What a run with this model shows is whether a recipe lets a model use what it can do: the
direction of a difference between recipes, not its height, and not how fast T5-small learns.**

Half of the examples show request and schema in one line, near the compact prompt (`Query: question |
evidence: ... | tables: t: c, c2 ('value') | keys: a.x = b.y`), the other half in the layout of the original
prompts, without their constant part. So neither layout is more at home. Sources are cut at
{source_tokens} tokens. Target: one line, names in double quotes.

## Measured
Execution accuracy (equal sets of rows) of SQL for a question, with greedy decoding, on questions of the
same grammar, `<` included, 95% Wilson interval:

{measured}

It has not been trained on the agents' prompts (Selector, Decomposer, Refiner): it never writes an
answer in the format that they ask for.

## What it cannot write, and why
Its vocabulary was gathered from the pre-training text, of which its pieces hold no backtick, brace,
`<`, `\\`, `^`, `~`, bracket U+3010 or U+3011 and no line break; so it has no tokens for them,
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


def _measured(measured: Measured) -> str:
    lines = (
        f"| {layout} | {databases} | {found.n} | {found.execution_accuracy:.3f} "
        f"| {found.low:.3f} to {found.high:.3f} | {found.exact_match:.3f} |"
        for layout, by_databases in measured
        for databases, found in sorted(by_databases.items())
    )
    head = "| layout | databases | questions | execution accuracy | interval | exact match |"
    return "\n".join([head, "| --- " * 6 + "|", *lines])


def card(facts: Pretraining) -> str:
    """The card as Markdown."""
    return CARD.format(
        **facts.shape,
        **facts.settings.model_dump(
            include={
                "seed",
                "cycles",
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
        measured=_measured(facts.measured),
    )
