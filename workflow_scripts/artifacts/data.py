"""What is known of the rows before any training: reading, profile, test set and samples.

Mappings by task have the names of the tasks as keys ("Selector", "Decomposer", "Refiner").
"""

from pydantic import Field, NonNegativeInt

from workflow_scripts.records import Record


class TwinRows(Record):
    """How many rows of each task the twin has."""

    Selector: NonNegativeInt = 1009
    Decomposer: NonNegativeInt = 2029
    Refiner: NonNegativeInt = 337


class TwinSettings(Record):
    """What the twin is made from; see rules/config.schema.yaml."""

    seed: int = 7
    rows: TwinRows = TwinRows()
    rows_per_table: int = Field(default=40, ge=10, le=150)
    domains_per_database: int = Field(default=1, ge=1, le=7)


class TwinDatabase(Record):
    tables: int
    columns: int
    rows: int
    sha256: str


class TwinCard(Record):
    """card.json of the twin."""

    what: str
    settings: TwinSettings
    rows: dict[str, int]  # task -> rows
    databases: dict[str, TwinDatabase]
    sha256: dict[str, str]


class Dropped(Record):
    """Questions that gave no row, for one reason; `examples` are the first few, in words."""

    questions: int
    examples: list[str]


class BuiltCard(Record):
    """The card of rows that were built from questions and databases."""

    format: str
    seed: int
    questions: int
    kept: int
    dropped: dict[str, Dropped]  # reason -> questions
    databases: int  # of the questions kept
    large_databases: int  # whose schema the Selector prunes
    rows: dict[str, int]  # task -> rows
    sub_questions: dict[str, int]  # sub-questions of an answer -> Decomposer rows
    sql_as_given: int  # gold SQL that rewriting in the agents' style would change or break
    failing_sql: dict[str, int]  # "prediction", or the way in which gold SQL was broken -> rows
    sha256: dict[str, str]  # questions, rows -> checksum of the file
