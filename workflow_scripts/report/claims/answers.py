"""Claims on what the answers are and what their scores can say at all, each under one recipe."""

from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.claims.evidence import Evidence
from workflow_scripts.report.claims.outcome import NOT_MEASURED, Outcome, above, below, found
from workflow_scripts.report.runs import best_runs

CUT_SHARE = 0.01  # of the answers, above which a limit counts as too short
# A share of right answers that is as good as 0: less than one in twenty. The report's own 1 row in
# 203 passes: the interval of that share ends below 0.03.
NEGLIGIBLE = 0.05
# A share of right answers that somebody can use. The report says "partially accurate", so half
# would ask too much; below a quarter, more than three answers are wrong for each right one.
USABLE = 0.25


def exact_match_is_zero(evidence: Evidence, recipe: str) -> Outcome:
    """As the notebooks compared: with what the tokenizer can write of the answer."""
    split = evidence.held_out(recipe)
    scores = {
        name: score
        for name in evidence.names(recipe)
        if (score := evidence.over_rows(recipe, name, "exact_match_decoded", split))
    }
    if not scores:
        return NOT_MEASURED
    best = max(scores, key=lambda name: (scores[name].value, scores[name].high))
    text = f"highest {scores[best]} ({best}, {scores[best].rows} {split} rows)"
    most = {
        task: score.value
        for task in ("all", *TASKS)
        if (score := evidence.score(recipe, best, "exact_match_decoded_at_most", split, task))
    }
    if most:
        by_task = ", ".join(f"{task} {most[task]:.3f}" for task in TASKS if task in most)
        text += f"; no model could reach more than {most['all']:.3f} with these inputs ({by_task})"
    return below(f"{text}; as good as 0 below {NEGLIGIBLE}", scores[best], NEGLIGIBLE)


def decomposer_usable(evidence: Evidence, recipe: str) -> Outcome:
    """Answers with the right SQL, in any form, of the run that the validation rows choose.

    Without databases: answers that equal the one in the data.
    """
    name = best_runs(evidence.of_recipe(recipe))[recipe][0].name
    split = evidence.held_out(recipe)
    for metric, words in (
        ("execution_accuracy_lenient", "execution accuracy, the SQL taken in any form"),
        ("exact_match", "exact match"),
    ):
        score = evidence.over_rows(recipe, name, metric, split, "Decomposer")
        if score:
            text = f"{words}: {score} ({name}, {score.rows} Decomposer {split} rows)"
            return above(f"{text}; usable above {USABLE}", score, USABLE)
    return NOT_MEASURED


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
