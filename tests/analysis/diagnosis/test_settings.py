"""Sizes of patches on the canvas."""

import pytest

from segshift.analysis.diagnosis import DiagnosisSettings
from segshift.errors import InputError


def test_sizes_of_patches() -> None:
    sizes = DiagnosisSettings().patch_sizes()
    assert DiagnosisSettings().canvas_cells == (128, 96)
    assert sizes == {"45": (12, 12), "90": (24, 24), "180": (48, 48), "whole": None}
    paper = DiagnosisSettings(size=(1024, 512), canvas=(1024, 512), patches=(512, 64, 256, 128))
    assert list(paper.patch_sizes()) == ["64", "128", "256", "512", "whole"]
    assert paper.patch_sizes()["64"] == (64, 64)
    with pytest.raises(InputError, match="larger than the shorter side"):
        DiagnosisSettings(patches=(400,)).patch_sizes()
    with pytest.raises(InputError, match="less than 2 cells"):
        DiagnosisSettings(patches=(4,)).patch_sizes()
