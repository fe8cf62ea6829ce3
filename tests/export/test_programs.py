"""What is done to networks while a program is recorded."""

from itertools import product

from timm.layers import padding

from segshift.export.programs import _same_padding


def test_padding_in_whole_numbers_is_timms() -> None:
    """Equal for every size, kernel, stride and dilation; timm divides real numbers."""
    for case in product(range(1, 70), (1, 2, 3, 5, 7), (1, 2, 3, 4), (1, 2, 4)):
        assert _same_padding(*case) == padding.get_same_padding(*case)
