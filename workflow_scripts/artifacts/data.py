"""What is known of the rows before any training: reading, profile, test set and samples.

Mappings by task have the names of the tasks as keys ("Selector", "Decomposer", "Refiner").
"""

from pydantic import Field, NonNegativeInt

from workflow_scripts.records import Record


class RawFile(Record):
    """The report's rows in the form of chat messages, as their authors share them in an archive."""

    name: str
    archive: str
    drive_id: str
    git_blob_sha1: str


class ProcessedFile(Record):
    """The same rows as pairs of source and target."""

    bytes: int
    sha256: str


class BaseModelFile(Record):
    """The weights of the model that the report fine-tuned; `name` is its name on the model hub."""

    name: str
    file: str
    note: str  # what the checksum is of
    bytes: int
    sha256: str


class ReportFiles(Record):
    """resources/report_files.json: how to recognise the files behind the report."""

    about: str
    raw: RawFile
    processed: ProcessedFile
    base_model: BaseModelFile


class FileFacts(Record):
    """A file's size and checksums; `git_blob_sha1` is what `git hash-object` prints."""

    name: str
    bytes: int
    sha256: str
    git_blob_sha1: str


class Reading(Record):
    """reading.json: what became of the lines of the raw file."""

    file: FileFacts
    is_the_reports_file: bool
    sentence: str  # how the file compares with the report's
    notes: list[str]
    lines: int  # blank ones left out
    rows: int
    tasks: dict[str, int]
    quarantined: int
    quarantined_by_kind: dict[str, int]
    max_quarantine: float
    linked: dict[str, dict[str, int]]  # task -> how its rows were linked, or why not -> rows


class Quarantined(Record):
    """A line of quarantine.jsonl: a line of the raw file that could not become a row."""

    line: int
    idx: int | None  # the row's own number, if it could be read
    kind: str
    reason: str
    excerpt: str


class Example(Record):
    """A row with a finding."""

    idx: int
    line: int
    detail: str


class Finding(Record):
    """How many rows have something, and the first few of them."""

    meaning: str
    rows: int
    by_task: dict[str, int]
    examples: list[Example]


class Box(Record):
    """What a box plot shows of `n` numbers; outliers lie beyond the whiskers."""

    n: int
    mean: float
    min: int
    whisker_low: int
    q1: float
    median: float
    q3: float
    whisker_high: int
    max: int
    outliers_low: int
    outliers_high: int


class Questions(Record):
    different: int
    asked_in_several_tasks: int


class TokenizerFacts(Record):
    vocabulary: int
    counts_end_mark: bool


class Profile(Record):
    """profile.json: the analysis of the rows in section 3.1 of the report."""

    rows: int
    tasks: dict[str, int]
    shares: dict[str, float]
    duplicates: dict[str, Finding]
    questions: Questions
    empty: dict[str, dict[str, int]]  # task -> field -> rows in which it is empty
    anomalies: dict[str, Finding]
    tokenizer: TokenizerFacts
    lengths: dict[str, dict[str, Box]]  # column of lengths.parquet -> "all" and each task


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
