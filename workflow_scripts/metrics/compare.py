"""Is one result as good as another? The arithmetic of the execution metrics, on rows of values.

Every function takes rows as lists of tuples, the prediction's first, and keeps the oddities of the
reference implementation that its docstring names.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

Rows = list[tuple]
MOST_TRIALS = 5_000  # orders of columns tried before two results count as different


def execution_accuracy(predicted: Rows, gold: Rows) -> bool:
    """EX: the same set of rows; order and repetition don't matter, the order of columns does.

    Definition: Li et al. 2023, "Can LLM Already Serve as a Database Interface? A BIg Bench for
    Large-Scale Database Grounded Text-to-SQLs" (BIRD), `evaluation.py`.
    """
    return set(predicted) == set(gold)


def execution_match(predicted: Rows, gold: Rows, ordered: bool) -> bool:
    """The same bag of rows for some order of the columns; the same list when `ordered`.

    Definition: Zhong, Yu and Klein 2020, "Semantic Evaluation for Text-to-SQL with Distilled Test
    Suites", `exec_eval.py` (`result_eq`). The original searches at random; here each column of gold
    gets in turn one of the unused columns, as long as the rows so far agree, with the same outcome.
    """
    if not predicted and not gold:
        return True
    if len(predicted) != len(gold) or len(predicted[0]) != len(gold[0]):
        return False
    keep: Callable = list if ordered else Counter
    given, wanted = list(zip(*predicted, strict=True)), list(zip(*gold, strict=True))
    trials, orders = 0, [()]
    while orders:
        order = orders.pop()
        if (width := len(order)) == len(wanted):
            return True
        target = keep(zip(*wanted[: width + 1], strict=True))
        unused = {given[at]: at for at in reversed(range(len(given))) if at not in order}
        for column, at in reversed(unused.items()):  # of equal columns the first is enough
            if keep(column) != keep(wanted[width]):
                continue
            trials += 1
            if trials > MOST_TRIALS:
                return False
            if keep(zip(*(given[i] for i in order), column, strict=True)) == target:
                orders.append((*order, at))
    return False


def soft_f1(predicted: Rows, gold: Rows) -> float:
    """Overlap of values, row by row in the order they come, repeated rows left out; 0 to 1.

    Definition: BIRD mini-dev, `evaluation_f1.py`. Caveat: the n-th row is compared with the n-th
    row, so without ORDER BY the figure depends on the order in which SQLite happens to answer.
    """
    if not predicted and not gold:
        return 1.0
    predicted, gold = list(dict.fromkeys(predicted)), list(dict.fromkeys(gold))
    both = only_predicted = only_gold = 0.0
    for ours, theirs in zip(predicted, gold, strict=False):
        width = len(theirs)
        both += sum(value in theirs for value in ours) / width
        only_predicted += sum(value not in theirs for value in ours) / width
        only_gold += sum(value not in ours for value in theirs) / width
    only_gold += max(len(gold) - len(predicted), 0)
    only_predicted += max(len(predicted) - len(gold), 0)
    precision = both / (both + only_predicted) if both else 0.0
    recall = both / (both + only_gold) if both else 0.0
    return 2 * precision * recall / (precision + recall) if both else 0.0


def time_ratio(times: Sequence[tuple[float, float]]) -> float:
    """Mean of gold's time over the prediction's, measured by turns, outliers left out.

    `times` are (prediction, gold) in seconds. Ratios three standard deviations or more from the
    mean are dropped, as in BIRD's `evaluation_ves.py`. Raises ValueError without measurements.
    """
    ratios = [gold / max(predicted, 1e-9) for predicted, gold in times]
    if not ratios:
        raise ValueError("no times were measured")
    middle, spread = statistics.fmean(ratios), statistics.pstdev(ratios)
    return statistics.fmean([r for r in ratios if abs(r - middle) < 3 * spread] or ratios)


def ves(ratio: float) -> float:
    """Valid Efficiency Score of a right answer; above 1 is faster than gold. A wrong one scores 0.

    Definition: BIRD, `evaluation_ves.py` (printed times 100). Small times are mostly noise.
    """
    return math.sqrt(ratio)


def r_ves(ratio: float) -> float:
    """Reward-based VES of a right answer: the root of a reward in five steps, steadier than VES.

    Definition: BIRD mini-dev, `evaluation_ves.py`, which prints it times 100.
    """
    for least, reward in ((2, 1.25), (1, 1.0), (0.5, 0.75), (0.25, 0.5)):
        if ratio >= least:
            return math.sqrt(reward)
    return math.sqrt(0.25)
