"""Claims on what the answers are and what their scores can say at all, each under one recipe."""

from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import NOT_MEASURED, Outcome, by_interval, found
from workflow_scripts.report.runs import best_runs

CUT_SHARE = 0.01  # of the answers, above which a limit counts as too short


def exact_match_is_zero(evidence: Evidence, recipe: str) -> Outcome:
    """As the notebooks compared: with what the tokenizer can write of the answer."""
    split = evidence.held_out(recipe)
    scores = {
        name: score
        for name in evidence.names(recipe)
        if (score := evidence.score(recipe, name, "exact_match_decoded", split))
    }
    if not scores:
        return NOT_MEASURED
    best = max(scores, key=lambda name: scores[name].value)
    text = f"highest {scores[best]} ({best}, {split} rows)"
    if recipe in evidence.fit:
        limits = evidence.fit[recipe].all
        text += (
            f"; within reach at most {limits.max_exact_match_decoded:.3f}, "
            f"{limits.max_exact_match:.3f} against the raw answer"
        )
    return found(text, scores[best].value == 0)


def decomposer_usable(evidence: Evidence, recipe: str) -> Outcome:
    """Exact match with the raw answer, of the run that the validation rows choose."""
    name = best_runs(evidence.of_recipe(recipe))[recipe][0].name
    split = evidence.held_out(recipe)
    score = evidence.score(recipe, name, "exact_match", split, "Decomposer")
    if score is None:
        return NOT_MEASURED
    text = f"exact match of {name}, Decomposer, {split} rows: {score}"
    return found(text, False) if score.value == 0 else by_interval(text, score)


def answers_too_long(evidence: Evidence, recipe: str) -> Outcome:
    if recipe not in evidence.fit:
        return Outcome("no fit audit")
    audit = evidence.fit[recipe]
    cut = audit.all.targets_cut / max(audit.all.rows, 1)
    return found(
        f"{cut:.1%} of the answers are longer than {audit.settings.target_tokens} tokens, "
        f"{audit.all.longer_than_generation:.1%} longer than the "
        f"{audit.settings.generate_tokens} that are generated",
        cut > CUT_SHARE,
    )


def rows_not_linked(evidence: Evidence, recipe: str) -> Outcome:
    if evidence.linked_rows is None:
        return NOT_MEASURED
    chosen, split = evidence.published.chosen, evidence.held_out(recipe)
    linked = evidence.score(recipe, chosen, "linked_rate", split)
    executed = evidence.score(recipe, chosen, "execution_accuracy", split)
    text = f"{evidence.linked_rows:.1%} of the rows name their database"
    if linked:
        text += f", {linked.value:.1%} of those answered could be linked to one"
    if executed:
        text += f"; execution accuracy {executed}"
    return found(text, evidence.linked_rows == 0)
