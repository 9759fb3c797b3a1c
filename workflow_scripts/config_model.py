"""The configuration as one model: a block for each section, its keys with meaning and bounds.

rules/config.schema.yaml, for people and editors, is written from it. Values stand in config.yaml;
what has a default here may be left out. `faults` of a block are what one of its keys asks of
another, and of the disk: each with its key and its cure.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticCustomError

from workflow_scripts.config import BUILT, SOURCE_KEYS, STANDIN, TWIN_ROWS
from workflow_scripts.data.samples import SPLITS
from workflow_scripts.digest import ROOT
from workflow_scripts.model.fetch import FILES as MODEL_FILES
from workflow_scripts.records import Record
from workflow_scripts.settings import (
    EndpointKeys,
    ModelSettings,
    Rows,
    Text,
    TrainingSettings,
    setting,
)
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.text.architecture import architecture_of

NO_DATABASE = "no database there. A folder with <db_id>/<db_id>.sqlite belongs here"


def _unique(values: list) -> list:
    if len(set(values)) < len(values):
        raise PydanticCustomError("not_unique", "each may stand there once")
    return values


def _not_empty(block: BaseModel) -> BaseModel:
    if not block.model_fields_set:
        raise PydanticCustomError("empty", "at least one setting belongs here")
    return block


# Used by several blocks.
Unique = AfterValidator(_unique)
Filled = Field(min_length=1)
Seed = Annotated[int, setting("Of random numbers.", ge=0, le=2**32 - 1)]
TaskRows = Annotated[int, setting("Rows of this task.", ge=0, le=10_000_000)]
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Word = Annotated[str, Field(pattern="^[a-z_]+$")]
Prompt = Annotated[
    Literal["full", "own", "compact"],
    setting("full: cut at source_tokens. own: no constant part. compact: own, on one line."),
]
SourceTokens = Annotated[int, setting("Source tokens kept.", ge=16, le=8192)]
TargetTokens = Annotated[int, setting("Target tokens kept.", ge=8, le=4096)]
Tokenizer = Annotated[
    Literal["stock", "lossless"], setting("stock: the model's. lossless: every target survives.")
]
PaddingInLoss = Annotated[
    bool, setting("Whether padding counts in the loss (as in the notebooks).")
]
GenerateTokens = Annotated[int, setting("Limit of an answer in tokens.", ge=1, le=4096)]
Sources = Annotated[
    Literal["own", "other"], setting("other: each row has the source of another row of its task.")
]
Patience = Annotated[
    Annotated[int, Field(ge=1)] | None,
    setting("Epochs without a lower eval_loss before stopping; null: never."),
]


class Section(Record):
    model_config = ConfigDict(allow_inf_nan=False, defer_build=True)


class PerTask(Section):
    Selector: TaskRows
    Decomposer: TaskRows
    Refiner: TaskRows


class Data(Section):
    """Where the rows come from."""

    source: Literal["twin", "path", "url", "drive", "spider", "bird"] = setting(
        "twin: generated; spider, bird: built from data.questions; the others: see their keys."
    )
    path: str | None = setting("A JSONL file in raw or processed form.", None)
    url: str | None = setting("Address of such a file.", None, pattern="^(https?|file)://")
    drive_id: str | None = setting(
        "Its id on the file-sharing service.", None, pattern="^[A-Za-z0-9_-]{10,}$"
    )
    questions: str | None = setting("Questions with gold SQL in Spider's or BIRD's form.", None)
    tables: str | None = setting("Their tables.json: words for columns, foreign keys.", None)
    predictions: list[str] | None = setting("Files with SQL that the Refiner repairs.", None)
    databases: str | None = setting(
        "Folder of <db_id>/<db_id>.sqlite; null: answers are not executed (the twin has its own).",
        None,
    )
    max_quarantine: float = setting("Share of rows that may be unreadable.", ge=0, le=1)

    def faults(self) -> Iterator[str]:
        # Snakemake passes over a missing source file as long as what was made of it is there.
        for key, name in self._files():
            if name != TWIN_ROWS and not Path(name).is_file():
                yield f"data.{key} names {name!r}: no such file."
        needed = [SOURCE_KEYS.get(self.source), "databases" if self.source in BUILT else None]
        for key in filter(None, needed):
            if not getattr(self, key):
                yield f"data.source is {self.source}, but data.{key} is empty. Set it."
        if self.databases and not any(list_databases(self.databases)):
            yield (
                f"data.databases is {self.databases!r}: {NO_DATABASE}, or null: answers are then "
                "not executed."
            )

    def _files(self) -> list[tuple[str, str]]:
        """(key, file) of the files that the source of the rows reads."""
        if self.source in BUILT:
            files = [("questions", self.questions), ("tables", self.tables)]
            files += [("predictions", name) for name in self.predictions or []]
        else:
            files = [("path", self.path)] if self.source == "path" else []
        return [(key, name) for key, name in files if name]


class Twin(Section):
    """The generated data set that stands in for Agent-Instruct."""

    seed: Seed = setting("Seed of databases and questions.")
    rows: PerTask = setting("Rows of each task.")
    domains_per_database: int = setting(
        "Domains whose tables make one database; 3: prompts as long as the real ones.",
        None,
        ge=1,
        le=7,
    )


class BaseModelKeys(ModelSettings):
    """What is said of any model that is fine-tuned."""

    base: Text = setting("Folder of the base model or its name on the model hub.", None)
    revision: str | None = setting("On the hub: commit, tag or branch.", None)
    sha256: str | None = setting(
        "On the hub: checksum of the weights, downloaded or converted.",
        None,
        pattern="^[0-9a-f]{64}$",
    )

    def faults(self, key: str, device: str) -> Iterator[str]:
        for name in ("lora", "liger"):
            if getattr(self, name) and self.architecture != "causal":
                yield (
                    f"{key}.{name} is set, but {key}.architecture is {self.architecture}: it is "
                    "for decoder-only models. Set the architecture to causal, or leave it out."
                )
        if self.load_4bit and not self.lora:
            yield (
                f"{key}.load_4bit is true, but {key}.lora is null. Weights of 4 bits cannot be "
                "trained: set lora, or load_4bit to false."
            )
        for name in ("load_4bit", "liger"):
            if getattr(self, name) and device == "cpu":
                yield f"{key}.{name} needs a GPU, but {key}.device is cpu. Set it to false."
        if not self.revision and not self.base.startswith("results/"):  # else made or fetched first
            yield from self._folder_faults(f"{key}.base is {self.base!r}", key)

    def _folder_faults(self, fault: str, key: str) -> Iterator[str]:
        folder = ROOT / self.base if self.base == STANDIN else Path(self.base)
        missing = [name for name in MODEL_FILES if not (folder / name).is_file()]
        if not folder.is_dir():
            yield (
                f"{fault}: no such folder. Name a folder with a model, or a model on the hub "
                f"together with {key}.revision."
            )
        elif missing:
            yield (
                f"{fault}, which lacks {', '.join(missing)}. transformers' save_pretrained writes "
                "them, of the model and of its (fast) tokenizer."
            )
        elif (kind := architecture_of(folder)) != self.architecture:
            yield f"{fault}, a model that is {kind}. Set {key}.architecture to that."


class Model(BaseModelKeys):
    """The model that is fine-tuned, and on what."""

    base: Text = setting("Folder of the base model or its name on the model hub.")
    device: Literal["auto", "cpu", "cuda"] = setting("auto takes a GPU if there is one.")
    precision: Literal["auto", "fp32", "bf16"] = setting("auto takes bf16 where there is such.")


class ComparedModel(BaseModelKeys):
    """Another model that is asked what the best run is asked: fine-tuned here, or an endpoint."""

    parameters: str | None = setting("Of an endpoint: how many it has, in words.", None)
    recipe: str = setting("Of a base: how text meets it, if not by agents.recipe.", None)
    run: str = setting("Of a base: the run whose rows and settings it is given.", None)
    learning_rate_scale: float = setting("Times its run's learning rate.", None, gt=0, le=1000)
    endpoint: EndpointKeys = setting("A model behind a server that speaks OpenAI's API.", None)


class OtherTest(Section):
    rows: Text = setting("A JSONL file in raw or processed form.")
    databases: Text = setting("Folder of <db_id>/<db_id>.sqlite.")

    def faults(self) -> Iterator[str]:
        if not Path(self.rows).is_file():
            yield f"test_set.other.rows is {self.rows!r}: no such file."
        if not any(list_databases(self.databases)):
            yield f"test_set.other.databases is {self.databases!r}: {NO_DATABASE}."


class TestSet(Section):
    """Rows kept from all training, drawn before sampling."""

    seed: Seed
    rows: PerTask = setting("Rows of each task, of seen and of unseen databases.")
    unseen_databases: Annotated[list[Text], Unique] | None = setting(
        "Databases that no run trains on; null: those that no pre-training saw (twin), or none.",
        None,
    )
    other: OtherTest | None = setting("Other rows that every run is tested on.", None)


class Recipe(Section):
    prompt: Prompt
    source_tokens: SourceTokens
    target_tokens: TargetTokens
    tokenizer: Tokenizer
    padding_in_loss: PaddingInLoss
    generate_tokens: GenerateTokens
    test_set: bool = setting("Whether the test set is kept out of the samples.")
    runs: dict[Name, "Run | None"] | None = setting(
        "Differing settings of runs, or more runs.", None
    )


class Claims(Section):
    """The recipe behind each column of the claims."""

    as_run: str = setting("What the notebooks did, mistakes included.")
    as_written: str = setting("What the report describes, carried out as described.")
    repaired: str = setting("As written, and the text handling repaired.")


class Control(Section):
    prompt: Prompt = None
    source_tokens: SourceTokens = None
    target_tokens: TargetTokens = None
    tokenizer: Tokenizer = None
    padding_in_loss: PaddingInLoss = None
    generate_tokens: GenerateTokens = None
    starts_from: Literal["random"] = setting("random: the base model, untrained.", None)
    sources: Sources = None
    patience: Patience = None


TextSetting = Literal[tuple(name for name in Recipe.model_fields if name in Control.model_fields)]


class Ablation(Section):
    """What each repair is worth."""

    in_report: bool = setting("Whether it is made with everything else, and is in the report.")
    run: str = setting("The run that is repeated.")
    seeds: int | None = setting("How many of the seeds it uses, from the first; null: all.", ge=1)
    unrepaired: str = setting("The recipe that gets each repair alone.")
    repaired: str = setting("The recipe from which each repair is taken back.")
    repairs: dict[Word, Annotated[list[TextSetting], Filled]] = setting(
        "Name of a repair: the settings it takes from the repaired recipe.", min_length=1
    )
    controls: dict[Word, Annotated[Control, AfterValidator(_not_empty)] | None] = setting(
        "Name of a control: its settings where they are not the repaired recipe's and its run's."
    )


class Run(Section):
    """A fine-tuning, or what all of them have. null in the place of a run removes it."""

    experiment: Literal[1, 2, 3, 5] = setting("The report's, 1 to 3; 5 is one of ours.", None)
    sampling: Literal["natural", "balanced"] = setting("The mix as it is, or tasks equally.", None)
    rows: int = setting("Rows drawn for training and validation together.", None, ge=2)
    draw: int = setting("Another number draws other rows with the same seed.", None, ge=1)
    split: Literal["row", "group", "database"] = setting("What stays on one side.", None)
    validation_share: float = setting("Share of the rows for validation.", None, gt=0, lt=1)
    batch_size: int = setting("Rows in an optimiser step.", None, ge=1, le=4096)
    learning_rate: float = setting("AdamW's peak, before the scale.", None, gt=0, le=1)
    epochs: int = setting("At most.", None, ge=1, le=1000)
    patience: Patience = None
    starts_from: str = setting("base, random (the base, untrained), or a run: its weights.", None)
    sources: Sources = None
    scored_on: str = setting("self, or the run whose rows are scored.", None)


class Prediction(Section):
    """Answering and scoring."""

    splits: Annotated[list[Literal[SPLITS]], Unique, Filled] = setting("Rows that are answered.")
    batch_size: Rows
    constrained: bool = setting("Whether answers keep to names of their schema.")


class Execution(Section):
    """Running the answers' SQL in the sandbox."""

    seconds: float = setting("Most processor time of a query.", gt=0, le=600)
    timed_runs: int = setting("Of each right answer, for VES and R-VES; 0: none.", ge=0, le=100)


class Agents(Section):
    """The three agents at work together: how `ask` answers, and what is evaluated end to end."""

    recipe: str = setting("Its run with the lowest evaluation loss answers.")
    questions: int = setting("Questions of each test set that the agents are asked.", ge=1)
    mean_columns: int = setting("The Selector is asked where tables have more on average,", ge=1)
    all_columns: int = setting("or more than this together.", ge=1)
    repairs: int = setting("How often the Refiner may repair an SQL.", ge=0, le=10)
    repair_on: Literal["error", "nothing"] = setting(
        "error: SQL that fails. nothing: also SQL that returns no row or a NULL in the first five."
    )
    constrained: bool = setting("The same as prediction.constrained, for the agents.")


class Examples(Section):
    """Experiment 4, the rows that the best run of each recipe is asked."""

    rows_per_task: int = setting("Rows.", ge=1, le=50)
    seed: Seed


class Figures(Section):
    """How figures look."""

    format_note: str | None = setting("A line under every figure; null: the pipeline's own.", None)
    style: dict[str, dict[str, Any]] = setting(
        "matplotlib settings for one figure or for all, e.g. {all: {font.size: 9}}.", None
    )


class Configuration(Section):
    """Every key of config.yaml, its meaning and its bounds. Unknown keys are errors."""

    data: Data
    twin: Twin
    model: Model
    models: dict[Name, ComparedModel | None] = setting("Other models, compared with the best run.")
    test_set: TestSet
    use_recipes: Annotated[list[str], Unique, Filled] = setting("Recipes that are trained.")
    recipes: dict[Name, Recipe | None] = setting("How text meets the model.", min_length=1)
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


class _Schema(GenerateJsonSchema):
    """Without titles, which repeat the keys, and without defaults that are no values."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> dict[str, Any]:
    return Configuration.model_json_schema(schema_generator=_Schema)


def schema_text() -> str:
    """rules/config.schema.yaml: the model as a JSON schema."""
    about = (
        "# Written from workflow_scripts/config_model.py by WRITE=1 pytest tests/test_config.py\n"
    )
    return about + yaml.safe_dump(
        json_schema(), sort_keys=False, width=100, default_flow_style=None
    )
