"""results/report.html: the front page, then all figures, tables and answers in the report's order.

The front page has three numbers, what became of the claims, and what repairs are worth. Where this
run has fewer seeds than the results that ship with the project (resources/shipped_results.json, by
tools/ship_results.py), or no ablation of its own, those stand beside its numbers, labelled.

Figures become data addresses, tables stand as they are, CSV files are downloads, so that the report
is one file that needs nothing beside it.
"""

import base64
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from docutils.core import publish_parts
from markupsafe import Markup

from workflow_scripts.files import write_text
from workflow_scripts.report import html, sections
from workflow_scripts.report.artefacts import artefacts, repaired_in
from workflow_scripts.report.claims import COLUMNS
from workflow_scripts.report.frames import select
from workflow_scripts.report.html import anchor, linked
from workflow_scripts.report.judge import JUDGED, KINDS, NOT_TESTABLE, NUMBERS, ON_OURS
from workflow_scripts.report.means import METRICS, held_out, written
from workflow_scripts.report.sections import read_best, verdict_tag
from workflow_scripts.settings import TEST_SPLITS
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import read_csv
from workflow_scripts.text.audit import FitAudit

TITLE = "Fine-Tuning On Essence, reproduced and examined"
MIME = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv"}
SCORES = ["exact_match", "execution_accuracy"]
# What leads where the tokenizer can write no right answer, which leaves the others at 0.
WITHIN_REACH = ["exact_match_decoded", "execution_accuracy_lenient"]
EFFECTS = [SCORES[0], WITHIN_REACH[0], SCORES[1], WITHIN_REACH[1], "rouge_l"]
UNTESTED = ("", "not measured", "not trained here")  # what a column of the claims says then


def cards(
    means: pd.DataFrame, best: dict[str, dict], fit: Iterable[FitAudit], recipes: dict[str, str]
) -> list[dict[str, Any]]:
    """A card for each recipe that was trained; a score that a model can reach comes first.

    `place`: the run's rank on the test rows, since validation rows differ from run to run.
    """
    audits = {audit.recipe: audit.all for audit in fit}
    columns = {recipe: column for column, recipe in recipes.items()}
    cards = []
    for recipe, run in best.items():
        of_recipe = select(means, task="all", recipe=recipe)
        own = select(of_recipe, run=run["run"]).set_index(["split", "metric"])
        measures = SCORES if audits[recipe].targets_surviving else WITHIN_REACH + SCORES
        scores = [
            {**own.loc[key], "split": split, "metric": metric}
            | {"at_most": own["mean"].get((split, f"{metric}_at_most"), 1)}
            for split in (held_out(own.index.unique("split")), *TEST_SPLITS[1:])
            for metric in measures
            if (key := (split, metric)) in own.index
        ]
        on_test = select(of_recipe, split="test", metric="rouge_l")
        ranks = on_test.set_index("run")["mean"].rank(ascending=False, method="min")
        card = {"recipe": recipe, "column": columns.get(recipe), "run": run["run"]}
        card |= {"place": ranks.get(run["run"]), "runs": len(ranks)}
        cards.append(card | {"audit": audits[recipe], "scores": scores})
    return cards


def verdict_counts(claims: pd.DataFrame) -> dict[str, Any]:
    """How many claims in words there are and have a verdict here, the verdicts, tests and scale."""
    in_words = claims[claims.group != NUMBERS]
    judged = in_words[in_words.group == JUDGED]
    kinds = judged.kind.value_counts()
    return {
        "claims": len(in_words),
        "judged": len(judged),
        "kinds": {kind: kinds[kind] for kind in KINDS if kind in kinds},
        "tests": int((~judged[[*COLUMNS]].isin(UNTESTED)).sum().sum()),
        "scale": claims.scale.iloc[0],
    }


def claim_rows(claims: pd.DataFrame, shipped: list[dict]) -> list[dict[str, Any]]:
    """The claims in words that this run or the shipped results judge, those of this run first."""
    there = {
        each["claim"]: each["verdict"]
        for each in shipped
        if each["kind"] != NOT_TESTABLE or ON_OURS in each["verdict"]
    }
    return [
        {
            "claim": line.claim,
            "here": verdict_tag(line.kind, line.verdict),
            "shipped": there.get(line.claim, ""),
        }
        for line in claims[claims.group != NUMBERS].itertuples()
        if line.group == JUDGED or line.claim in there
    ]


def effect_table(effects: pd.DataFrame) -> pd.DataFrame:
    """A line for each recipe of the ablation: what it repairs, and its scores on test rows."""
    own = effects[(effects.split == "test") & effects.metric.isin(EFFECTS)]
    titles = {name: f"{name} {each['title'].lower()}" for name, each in artefacts().items()}
    numbers = own[["value", "low", "high"]].itertuples(index=False)
    own = own.assign(
        repairs=own.artefact.map(titles).fillna(""),
        words=[written(*line, digits=2) for line in numbers],
    )
    table = own.pivot_table("words", ["recipe", "repairs"], "metric", "first", sort=False)
    table = table.fillna("")
    table = table[[metric for metric in EFFECTS if metric in table]]
    return table.rename(columns=METRICS).reset_index()


# --- sections


def chapters(
    entries: list[dict[str, str]], inputs: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The sections by chapter; a caption that several share stands under the first."""
    chapters: dict[str, list[dict[str, Any]]] = {}
    captions: dict[str, Markup] = {}
    link = Markup('<p>To be read like <a href="#{}">{}</a>.</p>')
    for entry in sorted(entries, key=lambda entry: (entry["chapter"], entry["title"])):
        file, caption, title = Path(entry["file"]), entry["caption"], entry["title"]
        if name := entry.get("table"):
            function, place = getattr(sections, name), anchor(name)
            names = inspect.signature(function).parameters
            body = linked(function(**{name: inputs[name] for name in names}))
        else:
            body, place = embedded(file, title), anchor(file.name)
        shown = {"title": title, "file": str(file), "anchor": place, "body": body}
        shown["caption"] = captions.get(caption) or linked(html_of(caption))
        captions.setdefault(caption, link.format(place, title))
        chapters.setdefault(entry["chapter"], []).append(shown)
    return chapters


def embedded(path: Path, title: str) -> Markup:
    """The HTML that shows a picture within the page, or offers a CSV file."""
    data = base64.b64encode(path.read_bytes()).decode()
    address = f"data:{MIME[path.suffix]};base64,{data}"
    if path.suffix == ".csv":
        return Markup('<p><a download="{0}" href="{1}">{0}</a></p>').format(path.name, address)
    return Markup('<div class="figure"><img src="{}" alt="{}"></div>').format(address, title)


def html_of(text: str) -> Markup:
    """reStructuredText as HTML."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "halt_level": 2}
    return Markup(publish_parts(text, writer="html5", settings_overrides=settings)["fragment"])


def write_report(
    shown: Annotated[dict, Setting('what is shown: {"sections": [...]}')],
    tables: Annotated[Path, Setting("results/tables")],
    answers: Annotated[Path, Input("answers.parquet")],
    published: Annotated[dict, Input("resources/published.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    picture: Annotated[Path, Input("the figure of the fit audits")],
    shipped: Annotated[dict, Input("resources/shipped_results.json")],
    recipes: Annotated[dict, Setting("the recipe of each column of the claims")],
    page: Annotated[Path, Output("report.html")],
    examples: Annotated[list[Path], Input("answers of experiment 4, <recipe>.parquet")] = [],  # noqa: B006
    train: Annotated[list[Path], Input("training rows of their best runs")] = [],  # noqa: B006
    val: Annotated[list[Path], Input("validation rows of their best runs")] = [],  # noqa: B006
    test: Annotated[Path | None, Input("the test rows")] = None,
    outcomes: Annotated[Path | None, Input("outcomes.parquet of the agents")] = None,
    traces: Annotated[Path | None, Input("traces.jsonl of the agents")] = None,
    agents_recipe: Annotated[str, Setting("of the run in the agents' place")] = "",
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
) -> None:
    inputs = dict(locals())  # what a section may show
    best, means = read_best(tables), read_csv(tables / "over_seeds.csv")
    claims = read_csv(tables / "claims.csv").astype(object).fillna("")
    devices, seeds = read_csv(tables / "runs.csv").device, shipped["seeds"]
    more_seeds = seeds["seeds"] > means.seeds.max()
    effects = pd.concat(map(read_csv, ablation)) if ablation else None
    there = pd.DataFrame(shipped["ablation"]["effects"])
    values = {
        **{"title": TITLE, "note": note, "artefacts": artefacts(), "metrics": METRICS},
        "cards": cards(means, best, fit, recipes),
        "removed": repaired_in("repaired"),
        "counts": verdict_counts(claims),
        "claims": claim_rows(claims, seeds["claims"] if more_seeds else []),
        "shipped": seeds if more_seeds else None,
        "precisions": sorted(set(devices.str.rpartition(", ")[2])),
        "effects": effect_table(there if effects is None else effects),
        # A line of a loss counts seeds.
        "own_seeds": None if effects is None else int(effects[effects.split == "val"].n.max()),
        "shipped_ablation": shipped["ablation"],
        "picture": embedded(picture, "What each recipe leaves of the rows"),
        "chapters": chapters(shown["sections"], inputs),
    }
    write_text(page, html.render("report.html", **values))


if __name__ == "__main__":
    run_stage(write_report)
