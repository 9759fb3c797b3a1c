"""Verdicts in English: the one place that puts them into words."""

from workflow_scripts.artifacts.claims import COLUMNS, Finding, Kind, Reason, Verdict
from workflow_scripts.report.pages import html

AGAINST = "the report's own numbers speak against it"
COLOURS = {Kind.REPRODUCED: "good", Kind.OPEN: "unsure", Kind.NOT_TESTABLE: "unsure"}

# What was found under the recipe that decides.
OF_KIND = {
    Kind.REPRODUCED: Finding.HOLDS,
    Kind.OPEN: Finding.OPEN,
    Kind.NOT_REPRODUCED: Finding.FAILS,
}


def english(verdict: Verdict) -> str:
    """One line: what became of the claim, why, and what else there is to say."""
    why = _why(verdict)
    return "; ".join([f"{_head(verdict)}: {why}" if why else _head(verdict), *_remarks(verdict)])


def verdict_tag(verdict: Verdict) -> html.Markup:
    """The same with what became of the claim as a coloured tag."""
    tag = html.tag(_head(verdict), COLOURS.get(verdict.kind, "bad"))
    tail = "; ".join(filter(None, [_why(verdict), *_remarks(verdict)]))
    return html.Markup("{} {}").format(tag, tail) if tail else tag


def _head(verdict: Verdict) -> str:
    if verdict.kind == Kind.ARTEFACT and not verdict.singled_out:
        return f"artefact of {' or '.join(verdict.artefacts)}"
    inside = f" (inside the interval over {verdict.inside})" if verdict.inside else ""
    return f"{verdict.kind}{inside}"


def _why(verdict: Verdict) -> str:
    if verdict.kind == Kind.OPEN:
        seen = verdict.findings.get("as_run") == Finding.HOLDS
        return f"{'there as run, but ' * seen}{_doubt(verdict)}"
    if verdict.missing:
        return f"needs {' and '.join(verdict.missing)}"
    why = verdict.detail or verdict.reason or ""
    if verdict.kind == Kind.ARTEFACT and verdict.singled_out:
        suffice = "suffices" if len(verdict.artefacts) == 1 else "each suffice"
        names = " and ".join(verdict.artefacts)
        return f"{why}; on these rows {names} {suffice} to explain it, by the ablation"
    return why


def _doubt(verdict: Verdict) -> str:
    """What leaves a claim open, under the first recipe that does: as written, else as run."""
    known = [each for each in ("as_written", *COLUMNS) if each in verdict.doubts]
    return f"{known[0].replace('_', ' ')} {verdict.doubts[known[0]]}"


def _remarks(verdict: Verdict) -> list[str]:
    if verdict.kind == Kind.ARTEFACT:
        return [_true_losses(verdict)] if verdict.reason == Reason.WRONG_FIGURE else []
    remarks = [AGAINST] if verdict.contradicted else []
    repaired = verdict.findings.get("repaired", Finding.NOT_MEASURED)
    if repaired in (OF_KIND.get(verdict.kind, repaired), Finding.NOT_MEASURED):
        return remarks
    doubt = verdict.doubts.get("repaired")
    more = f" ({doubt})" if doubt else _once_rid_of(verdict)
    return [f"{repaired} once repaired{more}", *remarks]


def _once_rid_of(verdict: Verdict) -> str:
    """Of which artefacts: by the ablation each of them must go, else one or more."""
    if verdict.singled_out:
        return f" of {' and '.join(verdict.artefacts)} (by the ablation)"
    return f" of {' or '.join(verdict.artefacts)}" if verdict.artefacts else ""


def _true_losses(verdict: Verdict) -> str:
    """What measuring a claim gave that the report read from a wrong figure."""
    showing = [name for name, found in verdict.findings.items() if found == Finding.HOLDS]
    if showing:
        return f"the true losses show it under {' and '.join(showing)}"
    if Finding.FAILS in verdict.findings.values():
        return "the true losses show the opposite"
    return f"the true losses leave it open ({_doubt(verdict)})"
