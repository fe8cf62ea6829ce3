"""The examples (`>>>`) in docstrings give what they say."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import segshift
from segshift import losses

ROOT = Path(segshift.__file__).parent
WITH_EXAMPLES = [path for path in sorted(ROOT.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples(path: Path) -> None:
    name = ".".join(("segshift", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried and not failed


@pytest.mark.parametrize("name", [n for n in losses.__all__ if inspect.isfunction(getattr(losses, n))])
def test_every_loss_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(getattr(losses, name)) or "")
