"""Arguments that hold several values with commas, sizes and devices."""

from segshift.config import did_you_mean
from segshift.errors import InputError
from segshift.sizes import WidthHeight

_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "npu", "mtia", "xla")


def split_names(text: str | None) -> tuple[str, ...] | None:
    """The names in "a, b"; None stays None, the default of the option."""
    return None if text is None else tuple(part.strip() for part in text.split(","))


_KEYS = {"centers": "centres", "colors": "colours"}


def analysis_names(text: str | None) -> tuple[str, ...] | None:
    """`split_names` of analyses: two keys of their documents are spelled in the British way for good."""
    names = split_names(text)
    return None if names is None else tuple(_KEYS.get(name, name) for name in names)


def whole_numbers(text: str, option: str, example: str) -> list[int]:
    """Whole numbers from "64,128"; `option` and `example` stand in the error. Raises InputError."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{option} {text}: write whole numbers with commas, for example {example}")
    return [int(part) for part in parts]


def parse_seeds(text: str) -> list[int]:
    """Seeds from "0,1,2". Raises InputError."""
    seeds = whole_numbers(text, "--seeds", "0,1,2")
    if len(set(seeds)) < len(seeds):
        raise InputError(
            f"--seeds {text}: a seed stands twice; a repeated run tells nothing about the spread"
        )
    return seeds


def parse_size(text: str, option: str, more: str = "") -> WidthHeight:
    """(width, height) from "WxH"; `more` says what else may be written. Raises InputError."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InputError(f"{option} {text}: write it as WIDTHxHEIGHT, for example 1024x512{more}")
    return WidthHeight((int(width), int(height)))


def check_device(device: str | None) -> None:
    """Raises InputError for a word that is no device; whether this machine has it, only PyTorch can tell."""
    kind, colon, number = (device or "cpu").partition(":")
    if kind not in _DEVICES or (colon and not number.isdecimal()):
        raise InputError(
            f"--device {device}: is no device{did_you_mean(kind, _DEVICES)}; write cpu, cuda or cuda:1"
        )
