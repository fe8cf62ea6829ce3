"""The exceptions that the command line knows: bad input, a stop that was asked for, a loss gone wrong."""

import re
from collections.abc import Mapping
from typing import Any

_LONGEST_MESSAGE = 1200


class InputError(ValueError):
    """Bad input from the user: a file, a key, a value or a combination of them.

    The message is a single line that says what is wrong, where (file, key, value) and what to do about it.
    The command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        # What the user wrote is quoted in it: a key or file name may hold a line break, a book, a terminal's
        # escapes, or bytes that are no text.
        line = " ".join(message.splitlines()).encode(errors="backslashreplace").decode()
        line = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], line)
        super().__init__(shortened(line, _LONGEST_MESSAGE))


def shown(value: Any) -> str:
    """What a user wrote, quoted for a message; long values lose their middle."""
    return shortened(repr(value), 80)


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` characters: the end, which may hold the remedy, stays too."""
    tail = most // 4
    return text if len(text) <= most else f"{text[: most - tail - 3]}...{text[-tail:]}"


class OutputError(InputError):
    """A file or folder that cannot be written: no permission, no room, or something else is there."""


class FormerNameWarning(FutureWarning):
    """A setting was given by a name that it had before."""


# Of PyTorch's allocators, for the CPU on Linux and elsewhere and for GPUs.
_NO_MEMORY = ("can't allocate memory", "not enough memory: you tried to allocate", "out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of Python or of PyTorch, says that memory ran out. Needs no PyTorch."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)


class StoppedError(RuntimeError):
    """The run was asked to stop, saved, and can be continued.

    Attributes:
        signal_number: of the signal that asked.
        step: steps done and saved.
    """

    def __init__(self, signal_number: int, step: int) -> None:
        self.signal_number, self.step = signal_number, step
        super().__init__(f"stopped after step {step}; everything is saved")


class ProcessLostError(RuntimeError):
    """Another process of the run ended, or has not answered for `training.process_timeout_s`."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this run ended or answers no more, so this one ends, too; what is in the "
            "checkpoints stays, and --resume goes on from there"
        )


class NonFiniteError(RuntimeError):
    """Something that is trained became NaN or infinite. The checkpoints hold none of it.

    Attributes:
        step: the steps done before.
        losses: every named loss of that update, if a loss was the first to be seen.
    """

    step: int
    losses: Mapping[str, float]


class NonFiniteLossError(NonFiniteError):
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


class NonFiniteStateError(NonFiniteError):
    """A weight, a buffer or an optimizer's state became NaN or infinite. It is saved nowhere."""

    def __init__(self, step: int, what: str) -> None:
        self.step, self.losses = step, {}
        super().__init__(f"non-finite state after step {step}: {what}")
