"""What a user sees when something is wrong: one message that names the place and the cure."""

import os
import sys
from collections.abc import Callable


class EssenceError(Exception):
    """A mistake in the input, the configuration or the surroundings, told to the user.

    The message names the file, line or key and says what to do about it; it is printed
    without a traceback.
    """


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a stage's `main` and exit: 0, what it returned, or 2 after an `EssenceError`.

    A full disk is reported like a user error, because its cure is the user's. Set
    ESSENCE_TRACEBACK=1 to see where an error came from.
    """
    try:
        sys.exit(main() or 0)
    except (EssenceError, OSError) as error:
        if os.environ.get("ESSENCE_TRACEBACK"):
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
