"""Names and parameters of the public library change on purpose only."""

import json
from pathlib import Path

from tools.api_surface import surface

RECORDED = Path(__file__).with_name("api_surface.json")


def test_public_names_are_those_that_are_recorded() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert surface() == recorded, "on purpose? python tools/api_surface.py > tests/api_surface.json"
