"""Nothing of the training is in an exported file: no discriminator, generator, categorization or teacher."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from segshift.engine.build import build
from segshift.engine.presets import load_recipe
from segshift.engine.smoke import smoke_recipe
from segshift.models.program import Program
from segshift.models.segmenter import Segmenter
from tests.models.networks import CLASSES

# The parts of each that train beside its segmenter and must stay behind.
METHODS = {
    "adaptpatch": ("adversary", "categorization"),
    "clan": ("adversary",),
    "fada": ("adversary",),
    "lsd": ("generator", "discriminator"),
    "advent": ("adversary",),
    "mean_teacher": ("teacher",),
    "sepico": ("teacher",),
    "mic_hrda": ("teacher",),
}


@pytest.mark.parametrize(("preset", "parts"), METHODS.items())
def test_a_program_holds_the_segmenter_alone(preset: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    method = build(smoke_recipe(load_recipe(preset)), CLASSES)
    deployed = method.deployed()
    assert deployed is not None
    plain = Segmenter(deployed.config.model_copy(update={"weights": "none"}), CLASSES).state_dict()
    method.save(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == plain.keys()
    inside = {name.removeprefix("segmenter.") for name in Program(deployed).state_dict()}
    assert inside == {name for name in plain if not name.startswith("auxiliary_head.")}
    trained = {part for name, _ in method.named_parameters() for part in name.split(".")}
    assert trained.issuperset(parts)
    assert not {part for name in inside for part in name.split(".")}.intersection(parts)
