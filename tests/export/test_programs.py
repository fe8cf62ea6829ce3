"""What is done to networks while a program is recorded."""

from itertools import product
from pathlib import Path

import torch
from timm.layers import padding

from segshift.export.programs import _same_padding, write_torch_export
from segshift.models import Segmenter, SegmenterConfig
from segshift.models.exported import load_program
from segshift.models.program import Program, ProgramMetadata
from segshift.models.segmenter_metadata import SegmenterMetadata
from tests.models.networks import CLASSES


def test_padding_in_whole_numbers_is_timms() -> None:
    """Equal for every size, kernel, stride and dilation; timm divides real numbers."""
    for case in product(range(1, 70), (1, 2, 3, 5, 7), (1, 2, 3, 4), (1, 2, 4)):
        assert _same_padding(*case) == padding.get_same_padding(*case)


def test_a_network_with_same_padding_is_saved_for_every_size(tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "from timm.layers import Conv2dSame\nfrom torch import nn\n\n"
        "def build(classes):\n"
        "    first, second = Conv2dSame(3, 4, 3, stride=2), Conv2dSame(4, classes, 5, stride=2)\n"
        "    return nn.Sequential(first, nn.ReLU(), second)\n"
    )
    network = Segmenter(SegmenterConfig(module=f"{code}:build"), CLASSES).eval()
    said = SegmenterMetadata.of(network.config, network.classes, network.pixel_statistics)
    metadata = ProgramMetadata.model_validate(said.model_dump()).model_dump_json()
    write_torch_export(Program(network), metadata, tmp_path / "model.pt2")
    # Formulas of sizes with a maximum in them grow with every layer, until recording takes minutes.
    graph = torch.export.load(tmp_path / "model.pt2").graph
    assert torch.sym_max not in {node.target for node in graph.nodes}
    program = load_program(tmp_path / "model.pt2").program
    for size in ((32, 48), (33, 47), (30, 41)):
        images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
        _, _, logits = program(images)
        torch.testing.assert_close(logits, network(network.normalize(images / 255)).logits)
