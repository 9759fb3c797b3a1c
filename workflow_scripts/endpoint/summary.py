"""What the answers of an endpoint took, summed up for a table."""

from collections import Counter
from collections.abc import Iterable

from workflow_scripts.artifacts.endpoint import Answered, Answering, Endpoint
from workflow_scripts.files import digest_of


def answering(endpoint: Endpoint, answers: Iterable[Answered], asked: int) -> Answering:
    """Of the answers to `asked` rows or questions; equal ones are counted once."""
    distinct = list({digest_of(each.request): each for each in answers}.values())
    read, written = (
        None if None in counts else sum(counts)
        for counts in (
            [each.input_tokens for each in distinct],
            [each.output_tokens for each in distinct],
        )
    )
    known = endpoint.prices is not None and None not in (read, written)
    return Answering(
        model=endpoint.model,
        served=sorted({each.served for each in distinct if each.served}),
        asked=asked,
        answers=len(distinct),
        ended=dict(sorted(Counter(each.kind for each in distinct).items())),
        input_tokens=read,
        output_tokens=written,
        cost=endpoint.prices.of(read, written) if known else None,
        seconds=round(sum(each.seconds for each in distinct), 3),
    )
