"""The one exception that means "your input is wrong" as opposed to "the program is wrong"."""


class InputError(ValueError):
    """Bad input from the user: a file, a key, a value or a combination of them.

    The message is a single line that says what is wrong, where (file, key, value) and what to do about it.
    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # What the user wrote is quoted in it, and a quoted key or file name may hold a line break.
        super().__init__(" ".join(message.splitlines()))
