"""Class ids from small maps against the arg max of the up-sampled scores."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segshift.models import class_ids
from segshift.models.class_ids import upsampled_ids
from segshift.models.resize import upsample
from segshift.sizes import HeightWidth

sides = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(
    small=st.tuples(sides, sides), large=st.tuples(sides, sides), classes=st.integers(1, 21), at_once=sides
)
def test_the_chosen_class_has_the_largest_upsampled_score(
    small: tuple[int, int], large: tuple[int, int], classes: int, at_once: int
) -> None:
    logits = torch.randn(2, classes, *small, generator=torch.Generator().manual_seed(sum(small)))
    scores = upsample(logits, HeightWidth(large))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_ids, "_AT_ONCE", at_once * classes * large[1])
        ids = upsampled_ids(logits, HeightWidth(large))
    assert ids.shape == (2, *large) and ids.dtype == torch.uint8
    chosen = scores.gather(1, ids[:, None].long())[:, 0]
    torch.testing.assert_close(chosen, scores.amax(dim=1), rtol=0, atol=1e-5)


def test_of_equal_scores_the_first_class_is_chosen() -> None:
    logits = torch.zeros(1, 255, 2, 2)
    logits[:, 7:9] = 1
    assert upsampled_ids(logits, HeightWidth((5, 6))).unique().tolist() == [7]


def test_of_half_precision_scores_the_places_are_not_rounded() -> None:
    logits = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    size = HeightWidth((33, 29))
    assert upsampled_ids(logits, size).equal(upsampled_ids(logits.float(), size))
