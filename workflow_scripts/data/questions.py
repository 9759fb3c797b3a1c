"""Questions with gold SQL and their databases, in Spider's and BIRD's form, and models' answers."""

from collections import defaultdict
from pathlib import Path

from pydantic import ConfigDict, Field

from workflow_scripts.data.agent_rows import ShownDatabase
from workflow_scripts.data.prediction_files import records
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.answers import extract_sql, is_large, plain_sql
from workflow_scripts.formats.schema import ForeignKey, Schema, SchemaError
from workflow_scripts.records import Record, parsed
from workflow_scripts.sql.describe import describe_database


class Question(Record):
    """A question of Spider; what else stands in its record is left alone."""

    model_config = ConfigDict(extra="ignore")

    db_id: str
    question: str
    evidence: str | None = None
    sql: str = Field(validation_alias="query")


class BirdQuestion(Question):
    sql: str = Field(validation_alias="SQL")


FORMATS: dict[str, type[Question]] = {"spider": Question, "bird": BirdQuestion}


class TablesEntry(Record):
    """An entry of tables.json; columns are numbered over all tables, number 0 being `*`."""

    model_config = ConfigDict(extra="ignore", strict=False)

    db_id: str
    table_names_original: list[str]
    column_names_original: list[tuple[int, str]]
    column_names: list[tuple[int, str]]
    foreign_keys: list[tuple[int, int]]

    @property
    def columns(self) -> dict[int, tuple[str, str]]:
        """Number of a column -> (table, column) in lower case."""
        names = [name.lower() for name in self.table_names_original]
        columns = enumerate(self.column_names_original)
        return {n: (names[table], name.lower()) for n, (table, name) in columns if table >= 0}

    @property
    def words(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(table, column) -> what tables.json calls the column, where it does, and no note."""
        said = [" ".join(words.split()) for _, words in self.column_names]
        return {column: (said[n], "") for n, column in self.columns.items() if said[n]}

    @property
    def keys(self) -> list[ForeignKey]:
        columns = self.columns
        return [(*columns[one], *columns[other]) for one, other in self.foreign_keys]


class Answered(Record):
    """A model's answer to a question; `db_id` is None where its row didn't state it."""

    model_config = ConfigDict(extra="ignore")

    db_id: str | None = None
    question: str
    prediction: str | None

    @property
    def sql(self) -> str | None:
        answer = self.prediction or ""
        return plain_sql(answer) or extract_sql(answer)


def read_questions(form: str, path: Path) -> list[Question]:
    """The questions of a JSON array or of JSON lines, at least one.

    Raises EssenceError naming the record and the key that it lacks.
    """
    if form not in FORMATS:
        raise EssenceError(f"unknown format {form!r}; known: {', '.join(FORMATS)}")
    found = [parsed(FORMATS[form], value, place) for place, value in records(path)]
    if not found:
        raise EssenceError(f"{path}: no questions in it")
    return found


def read_tables(path: Path) -> dict[str, TablesEntry]:
    """Read tables.json by database. Raises EssenceError for a file of another form."""
    value = read_json(path)
    if not isinstance(value, list):
        raise EssenceError(f"{path}: not a JSON array, as Spider's and BIRD's tables.json is")
    entries = [parsed(TablesEntry, each, str(path)) for each in value]
    return {entry.db_id: entry for entry in entries}


def read_answers(paths: list[Path]) -> dict[str, list[Answered]]:
    """The answers in prediction files that hold SQL, by their question (`comparable_text`).

    A file is predictions.parquet or verdicts.parquet of a run, or one that `metrics.score` reads
    with a question in each record. Answers of the Selector hold no SQL.
    """
    answers = defaultdict(list)
    for path in paths:
        for place, value in records(path):
            answer = parsed(Answered, value, place)
            if answer.sql:
                answers[comparable_text(answer.question)].append(answer)
    return answers


def show_database(file: Path, entry: TablesEntry | None = None) -> ShownDatabase:
    """Describe a database, its columns by the words of tables.json or by their names.

    Foreign keys that the file does not declare are taken from tables.json, too. Raises SchemaError
    for a file that can't be read, and for names that the prompts can't write.
    """
    given = (entry.words, entry.keys) if entry else ()
    schema = Schema(*describe_database(file, *given))
    if not schema.tables:
        raise SchemaError(f"{file}: no tables in it")
    if Schema.parsed(schema.text, schema.foreign_keys_text) != schema:
        raise SchemaError(f"{file}: the prompts can't write some of its names or values")
    return ShownDatabase(file, schema, pruned=is_large(schema.tables))
