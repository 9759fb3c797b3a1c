"""Verdicts in English: the one place that puts them into words."""

from workflow_scripts.artifacts.claims import Finding, Kind, Reason, Verdict
from workflow_scripts.report.pages import html

AGAINST = "the report's own numbers speak against it"
COLOURS = {Kind.REPRODUCED: "good", Kind.OPEN: "unsure", Kind.NOT_TESTABLE: "unsure"}


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
    if verdict.kind == Kind.ARTEFACT:
        return f"artefact of {_artefacts(verdict)}"
    if verdict.kind == Kind.OPEN:
        return Kind.NOT_REPRODUCED.value
    inside = f" (inside the interval over {verdict.inside})" if verdict.inside else ""
    return f"{verdict.kind}{inside}"


def _why(verdict: Verdict) -> str:
    if verdict.kind == Kind.OPEN:
        if verdict.findings.get("repaired") == Finding.HOLDS:
            return "open as written"
        seen = verdict.findings.get("as_run") == Finding.HOLDS
        return f"open, {'there as run, but ' * seen}as written the interval holds 0"
    if verdict.missing:
        return f"needs {' and '.join(verdict.missing)}"
    return verdict.detail or verdict.reason or ""


def _remarks(verdict: Verdict) -> list[str]:
    repaired = verdict.findings.get("repaired")
    if verdict.kind == Kind.ARTEFACT:
        return [_true_losses(verdict)] if verdict.reason == Reason.WRONG_FIGURE else []
    if verdict.kind in (Kind.OPEN, Kind.NOT_REPRODUCED) and repaired == Finding.HOLDS:
        return [f"holds once repaired{' of ' * bool(verdict.artefacts)}{_artefacts(verdict)}"]
    remarks = [AGAINST] if verdict.contradicted else []
    if verdict.kind == Kind.REPRODUCED and repaired in (Finding.FAILS, Finding.OPEN):
        said = "gone" if repaired == Finding.FAILS else "open"
        return [f"{said} once repaired", *remarks]
    return remarks


def _artefacts(verdict: Verdict) -> str:
    if verdict.singled_out:
        return f"{' and '.join(verdict.artefacts)} (by the ablation)"
    return " or ".join(verdict.artefacts)


def _true_losses(verdict: Verdict) -> str:
    """What measuring a claim gave that the report read from a wrong figure."""
    showing = [name for name, found in verdict.findings.items() if found == Finding.HOLDS]
    if showing:
        return f"the true losses show it under {' and '.join(showing)}"
    opposite = Finding.FAILS in verdict.findings.values()
    return f"the true losses {'show the opposite' if opposite else 'leave it open'}"
