"""What terms see: predictions, their probabilities, and looks without a graph."""

import pytest
import torch

from segshift.errors import InputError
from segshift.methods import Look, Prediction, TermConfig
from segshift.methods.adversarial import OutputAdversarialConfig
from segshift.methods.local_alignment import LocalAlignmentConfig
from segshift.methods.patch import PatchConfig
from segshift.methods.screened_self_training import ScreenedSelfTrainingConfig
from segshift.models.segmenter import SegmenterOutput
from tests.methods.networks import align, batch, tiny_segmenter


def prediction(auxiliary: bool = True) -> Prediction:
    generator = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, c, 4, 5, generator=generator, requires_grad=True) for c in (7, 3, 3)]
    output = SegmenterOutput(parts[0], parts[1], None, parts[2] if auxiliary else None)
    return Prediction.of(output, (8, 10))


def test_logits_grow_to_the_images_and_features_stay() -> None:
    made = prediction()
    assert made.logits.shape == (2, 3, 8, 10) and made.features.shape == (2, 7, 4, 5)
    assert made.auxiliary_logits is not None and made.auxiliary_logits.shape == (2, 3, 8, 10)
    # align_corners=True keeps the corners.
    generator = torch.Generator().manual_seed(0)
    torch.randn(2, 7, 4, 5, generator=generator)
    small = torch.randn(2, 3, 4, 5, generator=generator)
    torch.testing.assert_close(made.logits[..., ::7, ::9], small[..., ::3, ::4])


def test_detached_has_the_values_and_no_graph() -> None:
    made = prediction()
    bare = made.detached()
    for mine, theirs in (
        (made.features, bare.features),
        (made.logits, bare.logits),
        (made.auxiliary_logits, bare.auxiliary_logits),
        (made.probs(), bare.probs()),
    ):
        assert mine is not None and theirs is not None
        assert torch.equal(mine, theirs) and mine.requires_grad and not theirs.requires_grad
    assert prediction(auxiliary=False).detached().auxiliary_logits is None


def test_probabilities_are_computed_once_per_level() -> None:
    made = prediction()
    assert made.probs() is made.probs("main")
    assert made.probs("auxiliary") is made.probs("auxiliary")
    assert not torch.equal(made.probs("main"), made.probs("auxiliary"))
    torch.testing.assert_close(made.probs(), torch.softmax(made.logits, 1))
    assert made.detached().probs() is not made.probs()


def test_probabilities_are_float32_under_autocast() -> None:
    half = Prediction(torch.zeros(1, 1, 1, 1), torch.randn(1, 3, 2, 2).bfloat16(), None)
    assert half.probs().dtype == torch.float32


def test_the_auxiliary_level_needs_an_auxiliary_head() -> None:
    with pytest.raises(ValueError, match="auxiliary_head: true"):
        prediction(auxiliary=False).probs("auxiliary")
    with pytest.raises(InputError, match=r"terms\.0\.level = 'auxiliary'.*auxiliary_head: true"):
        align({"term": "advent", "level": "auxiliary"})


def test_looks_lose_their_graphs_one_after_the_other() -> None:
    look = Look(batch(), tiny_segmenter(), prediction())
    with pytest.raises(ValueError, match="has not been predicted"):
        look.target_prediction()
    second = look.with_target(prediction())
    assert not second.source.logits.requires_grad and second.target_prediction().logits.requires_grad
    last = second.detached()
    assert not last.source.logits.requires_grad and not last.target_prediction().logits.requires_grad
    assert look.detached().target is None


def test_titles() -> None:
    assert TermConfig(term="minent").title() == "minent"
    assert OutputAdversarialConfig(term="advent", level="auxiliary").title() == "advent_auxiliary"
    assert OutputAdversarialConfig(term="advent", level="auxiliary", name="game").title() == "game"


def test_terms_say_what_they_are_on_tiny_images() -> None:
    """Numbers never grow, and what is left out stays left out."""
    late = LocalAlignmentConfig(start_step=500, patch_px=(256, 128)).tiny()
    assert (late.start_step, late.patch_px) == (1, 32)
    assert LocalAlignmentConfig(patch_px=None).tiny() == LocalAlignmentConfig(patch_px=None)
    assert PatchConfig(patch_px=(64, 30), modes=3).tiny() == PatchConfig(patch_px=(32, 30), modes=3)
    assert PatchConfig(patch_px=63, grid=3).tiny() == PatchConfig(patch_px=(30, 30), grid=3, modes=4)
    assert ScreenedSelfTrainingConfig().tiny().self_training_start_step == 1
    assert TermConfig(term="own.py:Own", start_step=9).tiny().start_step == 1
