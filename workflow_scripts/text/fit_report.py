"""Write the fit audit in words: a table, warnings, a frame around fatal ones."""

from typing import Any

from workflow_scripts.artifacts.fit import FitAudit, LengthSummary, TaskFit


def fatal_warnings(audit: FitAudit) -> list[str]:
    """List what makes learning impossible, one sentence each."""
    sentences = []
    limit = audit.settings.source_tokens
    for task, fit in audit.tasks.items():
        if 2 * fit.distinct_inputs <= fit.distinct_sources > 1:
            section = max(fit.cut_in, key=lambda name: (fit.cut_in[name], name))
            sentences.append(
                f"{task}: {fit.rows} rows become {fit.distinct_inputs} distinct input(s) when the "
                f"source is cut at {limit} tokens (in the {section.replace('_', ' ')}); the model "
                "can only learn the average answer, and equal at most "
                f"{fit.max_exact_match_given_inputs:.3f} of the raw ones."
            )
        if not fit.targets_surviving:
            lost = " ".join(map(repr, list(fit.lost_characters)[:8]))
            sentences.append(
                f"{task}: not one of {fit.rows} answers survives encoding and decoding "
                f"(lost: {lost}); exact match with the raw text is at most "
                f"{fit.max_exact_match:.3f}."
            )
    return sentences


def other_warnings(audit: FitAudit) -> list[str]:
    """List what loses some rows, one sentence each."""
    sentences = [
        f"{task}: {sentence}" for task, fit in audit.tasks.items() for sentence in _losses(fit)
    ]
    rows = audit.embedding_rows
    if rows.model and rows.needed > rows.model:
        sentences.append(
            f"The tokenizer needs {rows.needed} embedding rows and the model has {rows.model}: "
            "training must resize it."
        )
    if audit.unreadable:
        sentences.append(
            f"{audit.unreadable} lines could not be read and are not counted; "
            f"the first: {audit.first_unreadable}"
        )
    return sentences


def _losses(fit: TaskFit) -> list[str]:
    kept = {
        "question": fit.question_kept,
        "schema": fit.schema_kept,
        "old SQL": fit.old_sql_kept,
    }
    sentences = [
        f"{fit.rows - count} of {fit.rows} rows lose (part of) the {section}."
        for section, count in kept.items()
        if count is not None and count < fit.rows
    ]
    if 0 < fit.targets_surviving < fit.rows:
        lost = fit.rows - fit.targets_surviving
        sentences.append(f"{lost} of {fit.rows} answers don't survive to the byte.")
    if fit.targets_cut:
        sentences.append(f"{fit.targets_cut} of {fit.rows} answers are cut.")
    if fit.longer_than_generation:
        share = fit.longer_than_generation
        sentences.append(f"{share:.1%} of the answers are longer than what is generated.")
    return sentences


def framed(audit: FitAudit, sentences: list[str]) -> str:
    """Put the sentences into a frame that is easy to see in a log."""
    bar = "!" * 78
    title = f"The recipe {audit.recipe} makes learning impossible on these rows:"
    return "\n".join([bar, title, *(f"  - {sentence}" for sentence in sentences), bar])


def as_table(audit: FitAudit) -> str:
    """Write the audit as text: one line per fact, one column per task."""
    columns = {**audit.tasks, "all": audit.all}
    facts = [key for key in TaskFit.model_fields if key not in ("cut_in", "lost_characters")]
    width = max(map(len, facts)) + 2
    lines = [" " * width + "".join(f"{name:>20}" for name in columns)]
    for key in facts:
        cells = (f"{_cell(getattr(fit, key)):>20}" for fit in columns.values())
        lines.append(f"{key.replace('_', ' '):<{width}}" + "".join(cells))
    if lost := audit.all.lost_characters:
        lines.append("lost characters: " + ", ".join(f"{c!r} {n}" for c, n in lost.items()))
    if cut := audit.all.cut_in:
        lines.append("sources are cut in: " + ", ".join(f"{k} {n}" for k, n in cut.items()))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, LengthSummary):
        return f"{value.median} / {value.p95} / {value.max}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)
