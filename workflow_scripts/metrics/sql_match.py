"""SQL by how it is written: nothing is executed."""

from workflow_scripts.sql.parse import canonical, parse
from workflow_scripts.text.similarity import exact_match


def sql_match(prediction: str, reference: str) -> dict[str, float]:
    """Metrics of one prediction, each 0 or 1.

    `exact_match`: the same text, final semicolons aside, which gold SQL of Spider and BIRD has or
    lack; `exact_match_normalised`: the same once sqlglot has written both
    alike (`sql.parse.canonical` says what counts as equal); `parse_rate`: sqlglot can parse it.
    """
    return {
        "exact_match": exact_match(prediction.rstrip("; \t\n"), reference.rstrip("; \t\n")),
        "exact_match_normalised": float(same_query(prediction, reference)),
        "parse_rate": float(parse(prediction.strip()) is not None),
    }


def same_query(one: str, other: str) -> bool:
    """Equal as text, outer white space aside, or in canonical form."""
    one, other = one.strip(), other.strip()
    return one == other or (canonical(one) is not None and canonical(one) == canonical(other))
