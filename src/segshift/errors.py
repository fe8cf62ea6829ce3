"""The exceptions that the command line knows: bad input, a stop that was asked for, a loss gone wrong."""

from collections.abc import Mapping


class InputError(ValueError):
    """Bad input from the user: a file, a key, a value or a combination of them.

    The message is a single line that says what is wrong, where (file, key, value) and what to do about it.
    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # What the user wrote is quoted in it, and a quoted key or file name may hold a line break.
        super().__init__(" ".join(message.splitlines()))


class StoppedError(RuntimeError):
    """The run was asked to stop, saved, and can be continued.

    Attributes:
        signal_number: of the signal that asked.
        step: steps done and saved.
    """

    def __init__(self, signal_number: int, step: int) -> None:
        self.signal_number, self.step = signal_number, step
        super().__init__(f"stopped after step {step}; everything is saved")


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite. Nothing was updated by it.

    Attributes:
        step: number of the step, from 0.
        nets: the networks whose turn it was.
        losses: every named loss of that update.
    """

    def __init__(self, step: int, nets: tuple[str, ...], losses: Mapping[str, float]) -> None:
        self.step, self.nets, self.losses = step, nets, dict(losses)
        values = ", ".join(f"{name} = {value:.6g}" for name, value in losses.items())
        super().__init__(f"non-finite loss at step {step} in the update of {'+'.join(nets)}: {values}")
