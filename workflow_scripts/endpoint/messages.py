"""What a user is told when an endpoint fails: which key of the configuration, and the cure.

The key of the endpoint is in none of it, also where a server repeats what it was sent.
"""

import os

import openai

from workflow_scripts.artifacts.endpoint import Endpoint
from workflow_scripts.errors import EssenceError

SHOWN = 240  # characters of what a server said
KEPT = "What was answered is kept: run the same command again."


def key_of(endpoint: Endpoint) -> str | None:
    """From the environment. Raises EssenceError where the variable holds no key.

    What no header can carry is refused here: the library would tell it, key and all.
    """
    if not endpoint.key:
        return None
    key = os.environ.get(endpoint.key, "").strip()
    if key and key.isascii() and key.isprintable():
        return key
    wrong = "holds what is no key (a line break, or letters beyond ASCII)" if key else "is not set"
    raise EssenceError(
        f"{endpoint.place('key')} names the environment variable {endpoint.key}, which {wrong}. "
        f"Set it and run the same command again: export {endpoint.key}=..."
    )


def told(error: openai.OpenAIError, endpoint: Endpoint) -> str:
    """One message for each way in which the library gives up."""
    url, tries = endpoint.base_url, endpoint.retries + 1
    said = _said(error, endpoint)
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            name = f"the key in {endpoint.key}" if endpoint.key else "requests without a key"
            return f"{endpoint.place('key')}: {url} refuses {name} ({said})."
        case openai.NotFoundError():
            return (
                f"{endpoint.place('model')} is {endpoint.model!r}: {url} does not know it, or is "
                f"another address than was meant ({said}). {url}/models lists the names; "
                f"{endpoint.place('base_url')} usually ends in /v1."
            )
        case openai.RateLimitError():
            return (
                f"{endpoint.place('at_once')} is {endpoint.at_once}: {url} still says too many "
                f"requests, or no credit ({said}). Lower it, or wait. {KEPT}"
            )
        case openai.APIStatusError() if error.status_code < 500:
            return f"models.{endpoint.name}.endpoint: {url} refuses a request ({said}). {KEPT}"
        case openai.APITimeoutError():
            return (
                f"{endpoint.place('timeout')} is {endpoint.timeout:g} seconds: {url} gave no whole "
                f"answer in that time, {tries} times. Raise it, or lower at_once. {KEPT}"
            )
    return f"{endpoint.place('base_url')} is {url}: no answer, {tries} times ({said}). {KEPT}"


def limit_ignored(endpoint: Endpoint, tokens: int) -> str:
    return (
        f"{endpoint.place('answer_tokens')} is {endpoint.answer_tokens:,}, but an answer has "
        f"{tokens:,}: the server does not know the limit as {endpoint.limit_name}. Set "
        f"{endpoint.place('limit_name')} to its other name."
    )


def _said(error: openai.OpenAIError, endpoint: Endpoint) -> str:
    """The words of the server, or of the connection where it said nothing."""
    if isinstance(error, openai.APIStatusError):
        said = f"{error.status_code}: {error.response.text}"
    else:
        said = str(error.__cause__ or error)
    if key := key_of(endpoint):
        said = said.replace(key, f"${endpoint.key}")
    said = " ".join(said.split())
    return said if len(said) <= SHOWN else f"{said[:SHOWN]} ..."
