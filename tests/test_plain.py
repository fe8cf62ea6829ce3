"""Numbers as people read them."""

import pytest

from segshift.plain import counted, share_in_words, size_in_words


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (49_999, "50.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (12_345_678, "12.3 MB"),
        (57_000_000_000, "57.0 GB"),
        (3_200_000_000_000_000, "3200.0 TB"),
    ],
)
def test_sizes_keep_a_digit_before_the_point(size_bytes: int, words: str) -> None:
    assert size_in_words(size_bytes) == words


def test_counted_things_agree_in_number() -> None:
    assert [counted(count, "image") for count in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(count, "class", "classes") for count in (1, 2)] == ["1 class", "2 classes"]
    assert (
        counted(1, "file is", "files are") == "1 file is"
        and counted(3, "file is", "files are") == "3 files are"
    )


@pytest.mark.parametrize(
    ("share", "digits", "words"),
    [
        (0, 2, "0.00 %"),
        (0.00001, 2, "<0.01 %"),
        (0.123, 2, "12.30 %"),
        (0.99999, 2, ">99.99 %"),
        (1, 0, "100 %"),
    ],
)
def test_a_share_in_words_is_never_rounded_to_nothing_or_to_all(
    share: float, digits: int, words: str
) -> None:
    assert share_in_words(share, digits) == words
