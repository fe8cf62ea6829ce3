"""A small budget of the fuzz of `tools/fuzz.py`, larger runs of which stand in benchmarks/RESULTS.md."""

from tools.fuzz import fuzz


def test_nothing_damaged_breaks_a_reader() -> None:
    counts = dict(fuzz(260))
    assert {kind: count.broken for kind, count in counts.items() if count.broken} == {}
    assert all(count.accepted + count.refused == 20 for count in counts.values())
    # Kinds that accept everything (list files) or nothing would show nothing.
    for outcome in ("accepted", "refused"):
        assert sum(getattr(count, outcome) > 0 for count in counts.values()) >= 10
