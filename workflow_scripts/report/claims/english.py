"""Verdicts in English: the one place that puts them into words."""

from workflow_scripts.artifacts.claims import Finding, Kind, Reason, Verdict
from workflow_scripts.report.pages import html

AGAINST = "the report's own numbers speak against it"
COLOURS = {Kind.REPRODUCED: "good", Kind.OPEN: "unsure", Kind.NOT_TESTABLE: "unsure"}
WHY = {
    Reason.ONE_SEED: "an interval needs at least two seeds",
    Reason.GONE_WHEN_REPAIRED: "gone when repaired",
    Reason.GONE_AS_WRITTEN: "there as run, gone as written",
    Reason.LESS_AS_WRITTEN: "there as run, less as written",
    Reason.ONLY_AS_RUN: "inside the interval as run, not as written",
    Reason.WRONG_FIGURE: "its figure can't show it",
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
    if verdict.kind == Kind.ARTEFACT:
        return f"artefact of {_artefacts(verdict)}"
    if verdict.kind == Kind.OPEN:
        return Kind.NOT_REPRODUCED.value
    if verdict.reason == Reason.INSIDE:
        return f"{verdict.kind} (inside the interval over {verdict.detail})"
    return verdict.kind.value


def _why(verdict: Verdict) -> str:
    if verdict.kind == Kind.OPEN:
        if verdict.found("repaired") == Finding.HOLDS:
            return "open as written"
        seen = "there as run, but " if verdict.found("as_run") == Finding.HOLDS else ""
        return f"open, {seen}as written the interval holds 0"
    if verdict.reason == Reason.MISSING:
        return f"needs {' and '.join(verdict.missing)}"
    if verdict.reason == Reason.STATED:
        return verdict.detail
    return WHY.get(verdict.reason, "")


def _remarks(verdict: Verdict) -> list[str]:
    repaired = verdict.found("repaired")
    remarks = []
    if verdict.kind == Kind.ARTEFACT:
        return [_true_losses(verdict)] if verdict.reason == Reason.WRONG_FIGURE else []
    if verdict.kind == Kind.REPRODUCED and repaired in (Finding.FAILS, Finding.OPEN):
        remarks.append("gone once repaired" if repaired == Finding.FAILS else "open once repaired")
    if verdict.kind in (Kind.OPEN, Kind.NOT_REPRODUCED) and repaired == Finding.HOLDS:
        of = f" of {_artefacts(verdict)}" if verdict.artefacts else ""
        return [f"holds once repaired{of}"]
    return [*remarks, AGAINST] if verdict.contradicted else remarks


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
