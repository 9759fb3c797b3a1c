"""How the figures and pages of the report look: one setting of every stage that makes one."""

from pydantic import Field, JsonValue

from workflow_scripts.artifacts.base import Artifact


class Look(Artifact):
    """Built from the configuration by `look` in rules/report_common.smk; pages use `note` alone."""

    note: str = Field("", description="small print: which data and model were used")
    style: dict[str, JsonValue] = Field(
        {}, description='matplotlib settings over ours, e.g. {"font.size": 9}'
    )


PLAIN = Look()
