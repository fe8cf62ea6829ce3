"""The gains that were measured before, as the package holds them."""

from pathlib import Path

from segshift.analysis.diagnosis.measured import measurements
from segshift.engine.presets import preset_names


def test_the_table_of_the_package() -> None:
    table = measurements()
    assert table.pairs and all(pair.seeds >= 2 for pair in table.pairs)
    results = (Path(__file__).parents[3] / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    presets = set(preset_names())
    for pair in table.pairs:
        assert set(pair.methods) <= presets
        # The same numbers stand in the document that says how they were made.
        section = results[results.index(pair.command) :]
        for gain in (pair.oracle, *pair.methods.values()):
            assert f"{gain.mean:+.1f} ± {gain.spread:.1f}" in section
