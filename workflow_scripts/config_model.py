"""The configuration as one model: a block for each section, its keys with meaning and bounds.

rules/config.schema.yaml, for people and editors, is written from it (tools/config_schema.py).
Values stand in config.yaml; what has a default here may be left out. What keys ask of each other is
checked in config_check.py.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, create_model
from pydantic_core import PydanticCustomError

from workflow_scripts.records import Record
from workflow_scripts.settings import (
    SPLITS,
    EndpointKeys,
    ModelSettings,
    Rows,
    Text,
    TextSettings,
    TrainedRun,
    TrainingSettings,
    setting,
)


def _unique(values: list) -> list:
    if len(set(values)) < len(values):
        raise PydanticCustomError("not_unique", "each may stand there once")
    return values


def _optional(name: str, about: str, *blocks: type[Record], **more: Any) -> type[Record]:
    """A block with the keys of others, all of which may be left out."""
    keys = {key: field for block in blocks for key, field in block.model_fields.items()}
    optional = {key: (Annotated[field.annotation, field], None) for key, field in keys.items()}
    return create_model(name, __base__=Record, __doc__=about, **optional, **more)


# Used by several blocks.
Unique = AfterValidator(_unique)
Filled = Field(min_length=1)
Seed = Annotated[int, setting("Of random numbers.", ge=0, le=2**32 - 1)]
TaskRows = Annotated[int, setting("Rows of this task.", ge=0, le=10_000_000)]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Word = Annotated[str, Field(pattern="^[a-z_]+$")]


class PerTask(Record):
    Selector: TaskRows
    Decomposer: TaskRows
    Refiner: TaskRows


class Data(Record):
    """Where the rows come from."""

    source: Literal["twin", "path", "url", "drive", "hub", "spider", "bird"] = setting(
        "twin: generated; spider, bird: built from data.questions; the others: see their keys."
    )
    path: str | None = setting("A JSONL file in raw or processed form.", None)
    url: str | None = setting("Address of such a file.", None, pattern="^(https?|file)://")
    drive_id: str | None = setting(
        "Its id on the file-sharing service.", None, pattern="^[A-Za-z0-9_-]{10,}$"
    )
    dataset: str | None = setting("Name of a data set on the model hub: owner/name.", None)
    revision: str | None = setting("Its commit, tag or branch.", None)
    questions: str | None = setting("Questions with gold SQL in Spider's or BIRD's form.", None)
    tables: str | None = setting("Their tables.json: words for columns, foreign keys.", None)
    predictions: list[str] | None = setting("Files with SQL that the Refiner repairs.", None)
    databases: str | None = setting(
        "Folder of <db_id>/<db_id>.sqlite; null: answers are not executed (the twin has its own).",
        None,
    )
    max_quarantine: float = setting("Share of rows that may be unreadable.", ge=0, le=1)


class Twin(Record):
    """The generated data set that stands in for Agent-Instruct."""

    seed: Seed = setting("Seed of databases and questions.")
    rows: PerTask = setting("Rows of each task.")
    domains_per_database: int = setting(
        "Domains whose tables make one database; 3: prompts as long as the real ones.",
        None,
        ge=1,
        le=7,
    )


class Model(ModelSettings):
    """The model that is fine-tuned, and on what."""

    base: Text = setting("Folder of the base model or its name on the model hub.")
    revision: str | None = setting("On the hub: commit, tag or branch.", None)
    sha256: str | None = setting(
        "On the hub: checksum of the weights, downloaded or converted.",
        None,
        pattern="^[0-9a-f]{64}$",
    )
    device: Literal["auto", "cpu", "cuda"] = setting("auto takes a GPU if there is one.")
    precision: Literal["auto", "fp32", "bf16"] = setting("auto takes bf16 where there is such.")


class ComparedModel(Record):
    """Another model that is asked what the best run is asked."""

    endpoint: EndpointKeys = setting("A model behind a server that speaks OpenAI's API.")
    parameters: str | None = setting("How many it has, in words.", None)


class OtherTest(Record):
    rows: Text = setting("A JSONL file in raw or processed form.")
    databases: Text = setting("Folder of <db_id>/<db_id>.sqlite.")


class TestSet(Record):
    """Rows kept from all training, drawn before sampling."""

    seed: Seed
    rows: PerTask = setting("Rows of each task, of seen and of unseen databases.")
    unseen_databases: Annotated[list[Text], Unique] | None = setting(
        "Databases that no run trains on; null: those that no pre-training saw (twin), or none.",
        None,
    )
    other: OtherTest | None = setting("Other rows that every run is tested on.", None)


class RunKeys(TrainedRun):
    draw: int = setting("Another number draws other rows with the same seed.", ge=1)
    split: Literal["row", "group", "database"] = setting("What stays on one side.")
    validation_share: float = setting("Share of the rows for validation.", gt=0, lt=1)
    starts_from: str = setting("base, random (the base, untrained), or a run: its weights.")
    scored_on: str = setting("self, or the run whose rows are scored.")


Run = _optional(
    "Run",
    "A fine-tuning, or what all of them have. null in the place of a run removes it.",
    RunKeys,
)


class RecipeKeys(TextSettings):
    test_set: bool = setting("Whether the test set is kept out of the samples.")
    runs: dict[Name, Run | None] | None = setting("Differing settings of runs, or more runs.", None)


class Claims(Record):
    """The recipe behind each column of the claims."""

    as_run: str = setting("What the notebooks did, mistakes included.")
    as_written: str = setting("What the report describes, carried out as described.")
    repaired: str = setting("As written, and the text handling repaired.")


Control = _optional(
    "Control",
    "A control: its settings where they are not the repaired recipe's and its run's.",
    TextSettings,
    TrainedRun,
    starts_from=(Literal["random"], setting("random: the base model, untrained.", None)),
)


class Ablation(Record):
    """What each repair is worth."""

    in_report: bool = setting("Whether it is made with everything else, and is in the report.")
    run: str = setting("The run that is repeated.")
    seeds: int | None = setting("How many of the seeds it uses, from the first; null: all.", ge=1)
    unrepaired: str = setting("The recipe that gets each repair alone.")
    repaired: str = setting("The recipe from which each repair is taken back.")
    repairs: dict[Word, Annotated[list[Literal[tuple(TextSettings.model_fields)]], Filled] | None]
    repairs = setting("Name of a repair: the settings it takes from the repaired recipe.")
    controls: dict[Word, Control | None] = setting("The controls by name.")


class Prediction(Record):
    """Answering and scoring."""

    splits: Annotated[list[Literal[SPLITS]], Unique, Filled] = setting("Rows that are answered.")
    batch_size: Rows
    constrained: bool = setting("Whether answers keep to names of their schema.")


class Execution(Record):
    """Running the answers' SQL in the sandbox."""

    seconds: float = setting("Most processor time of a query.", gt=0, le=600)
    timed_runs: int = setting("Of each right answer, for VES and R-VES; 0: none.", ge=0, le=100)


class Agents(Record):
    """The three agents at work together: how `ask` answers, and what is evaluated end to end."""

    recipe: str = setting("Its run with the lowest evaluation loss answers.")
    questions: int = setting("Questions of each test set that the agents are asked.", ge=1)
    mean_columns: int = setting("The Selector is asked where tables have more on average,", ge=1)
    all_columns: int = setting("or more than this together.", ge=1)
    most_tables: int = setting("Of a schema with more, the agents see the likeliest.", ge=1)
    repairs: int = setting("How often the Refiner may repair an SQL.", ge=0, le=10)
    repair_on: Literal["error", "nothing"] = setting(
        "error: SQL that fails. nothing: also SQL that returns no row or a NULL in the first five."
    )
    constrained: bool = setting("The same as prediction.constrained, for the agents.")


class Examples(Record):
    """Experiment 4, the rows that the best run of each recipe is asked."""

    rows_per_task: int = setting("Rows.", ge=1, le=50)
    seed: Seed


class Figures(Record):
    """How figures look."""

    format_note: str | None = setting("A line under every figure; null: the pipeline's own.", None)
    style: dict[str, dict[str, Any]] = setting(
        "matplotlib settings for one figure or for all, e.g. {all: {font.size: 9}}.", None
    )


class Configuration(Record):
    """Every key of config.yaml, its meaning and its bounds. Unknown keys are errors."""

    data: Data
    twin: Twin
    model: Model
    models: dict[Name, ComparedModel | None] = setting("Other models, compared with the best run.")
    test_set: TestSet
    use_recipes: Annotated[list[str], Unique, Filled] = setting("Recipes that are trained.")
    recipes: dict[Name, RecipeKeys | None] = setting("How text meets the model.", min_length=1)
    claims: Claims
    ablation: Ablation
    run_defaults: Run = setting("What every run has unless it says otherwise.")
    runs: dict[Name, Run | None] = setting("The fine-tunings.", min_length=1)
    seeds: Annotated[list[Seed], Unique, Filled] = setting("Each repeats every run.")
    training: TrainingSettings
    prediction: Prediction
    execution: Execution
    agents: Agents
    examples: Examples
    figures: Figures
