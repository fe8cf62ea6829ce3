"""The architecture's rules, read off the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import segshift

ROOT = Path(segshift.__file__).parent
# A layer may import those below it.
_LEVELS = [
    {"__init__"},
    {"cli"},
    {"serve", "watch"},
    {"report", "export"},
    {"engine", "analysis"},
    # Methods and losses lie no higher than `gradients`: they yield losses and compute no gradient.
    {"methods", "evaluation", "dataset_init", "gradients"},
    {"models", "losses"},
    {"data"},
    {"city"},
    {"pictures", "making", "external", "terminal"},
    {"folders", "sizes"},
    {"config", "ranges", "label_free_scores"},
    {"documents"},
    {"files", "plain", "progress", "shared_batch"},
    {"extras"},
    {"errors", "lazy", "version", "train_ids", "presets", "comparisons"},
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
        if package == "segshift":
            # `segshift.load` and the other public names are the top's, which nothing below may import.
            yield line, layer if layer in _LEVEL else "__init__"


def forbidden(path: Path) -> list[str]:
    own = layer_of(path)
    return [
        f"{path.relative_to(ROOT)}:{line} imports {layer}"
        for line, layer in layers_imported(path)
        if layer != own and _LEVEL[layer] <= _LEVEL[own]
    ]


def test_every_file_belongs_to_a_layer() -> None:
    assert {layer_of(path) for path in SOURCES} == set(_LEVEL)


def test_imports_point_downwards_only() -> None:
    problems = [p for path in SOURCES for p in forbidden(path)]
    assert not problems, "\n".join(problems)


def test_losses_need_neither_networks_nor_data() -> None:
    for path in (ROOT / "losses").glob("*.py"):
        assert {layer for _, layer in layers_imported(path)} <= {
            "losses",
            "config",
            "errors",
            "shared_batch",
            "train_ids",
        }, path


@pytest.mark.parametrize(
    ("layer", "line", "seen"),
    [
        ("data", "from segshift.models import load", "models"),
        ("losses", "import segshift.models.x", "models"),
        ("methods", "from segshift.gradients import add_gradients", "gradients"),
        ("models", "from segshift import __version__", "__init__"),
        ("cli", "import segshift", "__init__"),
    ],
)
def test_an_upward_import_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str, line: str, seen: str
) -> None:
    monkeypatch.setattr("tests.test_layers.ROOT", tmp_path)
    path = tmp_path / layer / "file.py"
    path.parent.mkdir()
    path.write_text(f"def late() -> None:\n    {line}\n")
    assert forbidden(path) == [f"{layer}/file.py:2 imports {seen}"]


_OF_AUTOGRAD = {"grad", "backward", "vjp", "vhp", "hessian", "jacobian"}


def computes_gradients(source: str) -> bool:
    """Whether a source names `backward` of anything, or a function of PyTorch's that does the same."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            of = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr == "backward" or (of in {"autograd", "functional"} and node.attr in _OF_AUTOGRAD):
                return True
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if str(node.module).startswith("torch.autograd") and names & _OF_AUTOGRAD:
                return True
            if str(node.module) == "torch.func" or (node.module == "torch" and "func" in names):
                return True
        elif isinstance(node, ast.Constant) and node.value == "backward":
            return True
    return False


def test_one_file_computes_gradients() -> None:
    callers = [path for path in SOURCES if computes_gradients(path.read_text(encoding="utf-8"))]
    # The second is an operation whose own derivative needs one; it moves no parameter.
    assert [str(path.relative_to(ROOT)) for path in callers] == ["gradients.py", "models/shared_pass.py"]


@pytest.mark.parametrize(
    "line",
    [
        "loss.backward()",
        "descend = loss.backward",
        "torch.autograd.backward(loss)",
        "torch.autograd.grad(loss, weights)",
        "autograd.grad(loss, weights)",
        "from torch.autograd import grad as slope",
        "from torch.func import grad",
        "torch.autograd.functional.vjp(f, x)",
        "getattr(loss, 'backward')()",
    ],
)
def test_backward_by_another_name_is_seen(line: str) -> None:
    assert computes_gradients(line)


def test_one_file_imports_accelerate() -> None:
    users = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(name.partition(".")[0] == "accelerate" for _, name in imports(path))
    ]
    assert users == ["engine/processes.py"]


def test_work_knows_no_terminal() -> None:
    """It tells a `Progress`; consoles are the command line's, and tables of a report for them."""
    users = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if any(name.startswith(("rich.", "segshift.terminal")) for _, name in imports(path))
    }
    assert {path for path in users if not path.startswith("cli/")} == {"terminal.py", "report/terminal.py"}


def test_what_a_chart_shows_knows_no_library_that_draws_it() -> None:
    """`report/plots.py` and `curve_plots.py` describe it once; plotly and matplotlib stand behind them."""
    users: dict[str, set[str]] = {"plotly": set(), "matplotlib": set()}
    for path in (ROOT / "report").rglob("*.py"):
        for name in {name.partition(".")[0] for _, name in imports(path)} & set(users):
            users[name].add(path.relative_to(ROOT / "report").as_posix())
    assert users["plotly"] == {
        "charts.py",
        "embedding_charts.py",
        "figures.py",
        "line_charts.py",
        "page.py",
    }
    assert all(path.startswith("drawings/") for path in users["matplotlib"])


def test_the_command_line_starts_without_torch() -> None:
    """`--help` answers at once: nothing heavy is imported where options are declared, and nothing late."""
    heavy = {"torch", "timm", "torchvision", "accelerate"}
    for path in (ROOT / "cli" / "command.py", *(ROOT / "cli" / "commands").glob("*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        top = {
            alias.name if isinstance(node, ast.Import) else str(node.module)
            for node in body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        assert not {name for name in top if name.partition(".")[0] in heavy}, path
    late = [
        f"{path.relative_to(ROOT)}:{statement.lineno}"
        for path in (ROOT / "cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for statement in ast.walk(node)
        if isinstance(statement, ast.Import | ast.ImportFrom)
    ]
    assert not late, late


def test_long_functions_say_why() -> None:
    """More than 60 lines need a sentence in the docstring that begins with "Long"."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
        and "Long" not in (ast.get_docstring(node) or "")
    ]
    assert not silent, "\n".join(silent)
