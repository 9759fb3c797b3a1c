"""What a user sees when something is wrong: one message that names the place and the cure."""


class EssenceError(Exception):
    """A mistake in the input, the configuration or the surroundings, told to the user.

    The message names the file, line or key and says what to do about it; `run_stage` prints it
    without a traceback.
    """
