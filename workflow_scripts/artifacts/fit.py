"""The fit audit, results/fit/<recipe>.json: what a recipe leaves of the rows, before training."""

from workflow_scripts.records import Record
from workflow_scripts.settings import Recipe


class LengthSummary(Record):
    """Tokens with the end token and those of a chat template.

    `p95` is the 95th percentile by nearest rank.
    """

    median: int
    p95: int
    max: int


class TaskFit(Record):
    """The rows of one task, or of all tasks.

    Counts of rows, but for `longer_than_generation` (a share, 0 to 1) and `max_*`: the highest mean
    that a model which wrote every label perfectly would reach. `_decoded` compares with the label
    as the tokenizer can write it. `max_exact_match_given_inputs` also heeds that a model gives
    equal inputs equal answers.
    """

    rows: int
    source_tokens: LengthSummary  # before truncation
    sources_cut: int
    cut_in: dict[str, int]  # section of the prompt in which truncation falls -> rows
    question_kept: int  # the section is whole after truncation
    schema_kept: int
    old_sql_kept: int | None  # None: no row has one
    distinct_sources: int
    distinct_inputs: int  # distinct sequences of token ids after truncation
    target_tokens: LengthSummary
    targets_cut: int
    targets_surviving: int  # decoding the encoded answer gives the answer, to the byte
    lost_characters: dict[str, int]  # occurrences
    longer_than_generation: float
    max_exact_match: float
    max_rouge_l: float
    max_exact_match_decoded: float
    max_rouge_l_decoded: float
    max_exact_match_given_inputs: float


class EmbeddingRows(Record):
    model: int | None  # None: config.json does not say
    needed: int  # by the ids of the recipe's tokenizer


class FitAudit(Record):
    recipe: str
    settings: Recipe
    tokenizer: str  # folder
    embedding_rows: EmbeddingRows
    rows: int
    unreadable: int
    first_unreadable: str | None
    tasks: dict[str, TaskFit]
    all: TaskFit
    learning_possible: bool
    warnings: list[str]
