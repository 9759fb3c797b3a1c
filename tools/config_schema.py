"""Write rules/config.schema.yaml, for people and editors, from workflow_scripts/config_model.py.

python -m tools.config_schema
"""

from typing import Any

import yaml
from pydantic.json_schema import GenerateJsonSchema

from workflow_scripts.config_check import SCHEMA
from workflow_scripts.config_model import Configuration
from workflow_scripts.files import write_text
from workflow_scripts.stage import run_stage


class _Schema(GenerateJsonSchema):
    """Without titles, which repeat the keys, and without defaults that are no values."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def schema_text() -> str:
    """The model as a JSON schema, in YAML."""
    schema = Configuration.model_json_schema(schema_generator=_Schema)
    about = "# Written from workflow_scripts/config_model.py by python -m tools.config_schema"
    text = yaml.safe_dump(schema, sort_keys=False, width=100, default_flow_style=None)
    return f"{about}\n{text}"


def write_schema() -> None:
    write_text(SCHEMA, schema_text())


if __name__ == "__main__":
    run_stage(write_schema)
