"""sections.json: what results/report.html shows, in its order."""

from workflow_scripts.artifacts.base import Artifact


class Section(Artifact):
    """A figure, a table or a page of the report.

    `file` is its path from the repository's root, `caption` reStructuredText.
    """

    chapter: str
    title: str
    file: str
    caption: str


class Sections(Artifact):
    sections: list[Section]
