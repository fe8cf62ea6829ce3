"""Classes that two data sets have in common."""

from dataclasses import replace
from pathlib import Path

import pytest

from segshift.analysis.diagnosis.domains import common_classes
from segshift.data.labels import class_set
from segshift.data.resolve import resolve
from segshift.errors import InputError


def test_classes_in_common(toy_source: Path) -> None:
    toy = resolve(str(toy_source))
    city = replace(toy, classes=class_set("cityscapes19"))
    camvid = replace(toy, classes=class_set("camvid11"))
    assert common_classes(city, camvid, None).name == "camvid11"
    assert common_classes(city, city, None) == class_set("cityscapes19")
    assert common_classes(city, camvid, ["road", "sky"]).names == ("road", "sky")
    own = replace(toy, classes=class_set(["hut", "ground", "sky"]))
    assert common_classes(toy, own, None).names == ("sky", "ground")
    with pytest.raises(InputError, match="nothing for"):
        common_classes(camvid, camvid, "cityscapes19")
    with pytest.raises(InputError, match="share no name"):
        common_classes(toy, replace(toy, classes=class_set(["hut"])), None)
