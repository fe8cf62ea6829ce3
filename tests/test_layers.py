"""The architecture's rules, read off the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import segshift

ROOT = Path(segshift.__file__).parent
# A layer may import those below it.
_LEVELS = [
    {"cli"},
    {"report"},
    {"engine", "analysis"},
    {"methods", "evaluation", "dataset_init"},
    {"models", "losses"},
    {"data"},
    {"city"},
    {"pictures", "making", "external"},
    {"folders"},
    {"config", "ranges"},
    {"documents"},
    {"files", "plain", "shared_batch"},
    {"errors"},
]
_LEVEL = {layer: level for level, layers in enumerate(_LEVELS) for layer in layers}
SOURCES = sorted(ROOT.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a file imports, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide the layer"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def layers_imported(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports(path):
        package, _, rest = name.partition(".")
        layer = rest.partition(".")[0]
        # What stands beside the layers (`segshift.__version__`, `segshift.load`) belongs to none.
        if package == "segshift" and layer in _LEVEL:
            yield line, layer


def forbidden(path: Path) -> list[str]:
    own = layer_of(path)
    return [
        f"{path.relative_to(ROOT)}:{line} imports {layer}"
        for line, layer in layers_imported(path)
        if layer != own and _LEVEL[layer] <= _LEVEL[own]
    ]


def test_every_file_belongs_to_a_layer() -> None:
    data_folders = {"presets", "comparisons", "__init__"}
    assert {layer_of(path) for path in SOURCES} - data_folders <= set(_LEVEL)


def test_imports_point_downwards_only() -> None:
    problems = [p for path in SOURCES if layer_of(path) in _LEVEL for p in forbidden(path)]
    assert not problems, "\n".join(problems)


def test_losses_need_neither_networks_nor_data() -> None:
    for path in (ROOT / "losses").glob("*.py"):
        assert {layer for _, layer in layers_imported(path)} <= {
            "losses",
            "config",
            "errors",
            "shared_batch",
        }, path


@pytest.mark.parametrize(
    ("layer", "line"), [("data", "from segshift.models import load"), ("losses", "import segshift.models.x")]
)
def test_an_upward_import_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str, line: str
) -> None:
    monkeypatch.setattr("tests.test_layers.ROOT", tmp_path)
    path = tmp_path / layer / "file.py"
    path.parent.mkdir()
    path.write_text(f"def late() -> None:\n    {line}\n")
    assert forbidden(path) == [f"{layer}/file.py:2 imports models"]


def calls_of_backward(path: Path) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "backward"
    ]


def test_only_the_step_calls_backward() -> None:
    callers = [str(path.relative_to(ROOT)) for path in SOURCES if calls_of_backward(path)]
    assert callers == ["engine/step.py"]


def test_one_file_imports_accelerate() -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(name.partition(".")[0] == "accelerate" for _, name in imports(path))
    ]
    assert users == ["engine/processes.py"]


def test_the_command_line_starts_without_torch() -> None:
    """`--help` answers at once: nothing heavy is imported where a command file is read."""
    heavy = {"torch", "timm", "torchvision", "accelerate"}
    for path in (ROOT / "cli").glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        top = {
            alias.name if isinstance(node, ast.Import) else str(node.module)
            for node in body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {name for name in top if name.partition(".")[0] in heavy}, path
