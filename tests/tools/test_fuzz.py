"""A small budget of the fuzz that `tools/fuzz.py` runs with 20 000 cases (benchmarks/RESULTS.md)."""

from tools.fuzz import fuzz


def test_no_damaged_text_breaks_a_reader() -> None:
    counts = fuzz(140)
    assert {kind: count.broken for kind, count in counts.items() if count.broken} == {}
    assert all(count.accepted + count.refused == 20 for count in counts.values())
    assert sum(count.accepted for count in counts.values()) > 20 < sum(c.refused for c in counts.values())
