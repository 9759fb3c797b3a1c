"""What a user sees when something is wrong: one message that names the place and the cure."""


class EssenceError(Exception):
    """A mistake in the input, the configuration or the surroundings, reported to the user.

    The message names the file, line or key and says what to do about it; `run_stage` prints it
    without a traceback.
    """


def check_share(name: str, value: float) -> None:
    """Raises EssenceError unless `value` lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise EssenceError(f"{name}: {value:g} is not a share between 0 and 1")


def one_line(error: BaseException) -> str:
    """What a library's error says, on one line and not too long."""
    return " ".join(str(error).split())[:300] or type(error).__name__
