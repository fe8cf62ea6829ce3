"""Methods and terms of one's own, named as `FILE.py:CLASS`."""

from pathlib import Path

import pytest

from segshift.engine.presets import load_recipe
from segshift.errors import InputError
from segshift.external import external_class
from segshift.methods import Align, build_method
from segshift.methods.term import Term
from tests.methods.networks import tiny_segmenter

TERM = """
import torch
from segshift.methods import Term, TermConfig

class PullConfig(TermConfig):
    strength: float = 1.0

class Pull(Term):
    Config = PullConfig
    uses_target = False

    def __init__(self, config, segmenter):
        super().__init__(config, segmenter)
        self.strength = config.strength

    def on_source(self, look):
        return {"size": self.strength * look.source.logits.square().mean()}

value = 3
"""


def test_a_recipe_finds_the_class_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "pull.py").write_text(TERM)
    text = 'method: {terms: [{term: "pull.py:Pull", strength: 2}]}'
    (tmp_path / "own" / "recipe.yaml").write_text(text)
    (tmp_path / "above.yaml").write_text("extends: own/recipe.yaml")
    monkeypatch.chdir(tmp_path)
    for path in ("own/recipe.yaml", "above.yaml"):
        method = build_method(load_recipe(path).method, tiny_segmenter())
        assert isinstance(method, Align)
        (term,) = method.terms
        assert type(term).__name__ == "Pull" and term.strength == 2 and term.name == "pull"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("gone.py:Pull", "no such file"),
        ("pull.py:Pul", "did you mean `Pull`"),
        ("pull.py:value", "no subclass of segshift's Term"),
        ("broken.py:Pull", "does not import: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, message: str
) -> None:
    (tmp_path / "pull.py").write_text(TERM)
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        external_class(reference, Term, "method.terms.0.term")
    assert "\n" not in str(error.value) and "method.terms.0.term" in str(error.value)
