"""The fit audit for readers: a table, and a loud word where a recipe makes learning impossible."""

from typing import Any

_LINES = {
    "rows": "rows",
    "source_tokens": "source tokens (median / p95 / max)",
    "sources_cut": "sources cut",
    "question_kept": "question kept",
    "schema_kept": "schema kept",
    "old_sql_kept": "old SQL kept",
    "distinct_sources": "distinct sources",
    "distinct_inputs": "distinct inputs left",
    "target_tokens": "target tokens (median / p95 / max)",
    "targets_cut": "targets cut",
    "targets_surviving": "targets that survive to the byte",
    "longer_than_generation": "gold longer than generation",
    "max_exact_match": "highest exact match, raw text",
    "max_exact_match_given_inputs": "  the same, one answer per input",
    "max_rouge_l": "highest ROUGE-L, raw text",
    "max_exact_match_decoded": "highest exact match, decoded label",
    "max_rouge_l_decoded": "highest ROUGE-L, decoded label",
}


def fatal(audit: dict[str, Any]) -> list[str]:
    """What makes learning impossible, a sentence for each."""
    sentences = []
    cut = audit["settings"]["source_tokens"]
    for task, facts in audit["tasks"].items():
        if 2 * facts["distinct_inputs"] <= facts["distinct_sources"] > 1:
            sentences.append(
                f"{task}: {facts['rows']} rows become {facts['distinct_inputs']} distinct "
                f"input(s) when the source is cut at {cut} tokens (in {_most(facts['cut_in'])}); "
                "the model can only learn the average answer."
            )
        if not facts["targets_surviving"]:
            lost = " ".join(map(repr, list(facts["lost_characters"])[:8]))
            sentences.append(
                f"{task}: not one of {facts['rows']} answers survives encoding and decoding "
                f"(lost: {lost}); exact match with the raw text is at most "
                f"{facts['max_exact_match']:.3f}."
            )
    return sentences


def concerns(audit: dict[str, Any]) -> list[str]:
    """What costs some rows, a sentence for each."""
    sentences = []
    for task, facts in audit["tasks"].items():
        rows = facts["rows"]
        for name in ("question", "schema", "old_sql"):
            kept = facts[f"{name}_kept"]
            if kept is not None and kept < rows:
                words = name.replace("_sql", " SQL")
                sentences.append(
                    f"{task}: {rows - kept} of {rows} rows lose (part of) the {words}."
                )
        if 0 < facts["targets_surviving"] < rows:
            lost = rows - facts["targets_surviving"]
            sentences.append(f"{task}: {lost} of {rows} answers don't survive to the byte.")
        if facts["targets_cut"]:
            sentences.append(f"{task}: {facts['targets_cut']} of {rows} answers are cut.")
        if facts["longer_than_generation"]:
            share = facts["longer_than_generation"]
            sentences.append(
                f"{task}: {share:.1%} of the answers are longer than what is generated."
            )
    rows = audit["embedding_rows"]
    if rows["model"] and rows["needed"] > rows["model"]:
        sentences.append(
            f"The tokenizer needs {rows['needed']} embedding rows and the model has "
            f"{rows['model']}: training must resize it."
        )
    if audit["unreadable"]:
        sentences.append(
            f"{audit['unreadable']} lines could not be read and are not counted; "
            f"the first: {audit['first_unreadable']}"
        )
    return sentences


def loud(audit: dict[str, Any], sentences: list[str]) -> str:
    """The sentences in a frame that a log reader can't pass over."""
    bar = "!" * 78
    title = f"The recipe {audit['recipe']} makes learning impossible on these rows:"
    return "\n".join([bar, title, *(f"  - {sentence}" for sentence in sentences), bar])


def as_table(audit: dict[str, Any]) -> str:
    """The audit as text: one line a fact, one column a task."""
    columns = {**audit["tasks"], "all": audit["all"]}
    width = max(map(len, _LINES.values())) + 2
    lines = [" " * width + "".join(f"{name:>20}" for name in columns)]
    for key, words in _LINES.items():
        cells = (f"{_cell(facts[key]):>20}" for facts in columns.values())
        lines.append(f"{words:<{width}}" + "".join(cells))
    lost = audit["all"]["lost_characters"]
    if lost:
        lines.append("lost characters: " + ", ".join(f"{c!r} {n}" for c, n in lost.items()))
    cut = audit["all"]["cut_in"]
    if cut:
        lines.append("sources are cut in: " + ", ".join(f"{k} {n}" for k, n in cut.items()))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " / ".join(str(value[key]) for key in ("median", "p95", "max"))
    if isinstance(value, float):
        return f"{value:.3f}"
    return "-" if value is None else str(value)


def _most(cut_in: dict[str, int]) -> str:
    section = max(cut_in, key=lambda name: (cut_in[name], name))
    return f"the {section.replace('_', ' ')}"
