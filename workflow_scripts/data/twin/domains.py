"""The twin's hand-made domains, by name."""

from workflow_scripts.data.twin import domains_public, domains_trade

DOMAINS = (*domains_public.DOMAINS, *domains_trade.DOMAINS)


def domain_names() -> list[str]:
    """The databases' names: the first word of each domain."""
    return [text.split(maxsplit=1)[0] for text in DOMAINS]
