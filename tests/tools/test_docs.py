"""The pages: what is made is up to date, commands can be given, the words of the results are explained."""

import re
import shlex
from pathlib import Path

import click
import pytest
import typer
from tools.methods_page import PAGES, pages, whole
from tools.readme_commands import ROOT

from segshift.analysis.diagnosis.diagnose import PARTS
from segshift.cli import app
from segshift.cli.arguments import analysis_names
from segshift.engine.presets import preset_names
from segshift.methods import METHODS, TERMS

DOCS = sorted((ROOT / "docs").rglob("*.md"))
_BLOCK = re.compile(r"^```(?:bash|console)(?: quick)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_RECIPES = ("train", "sweep", "doctor")


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks that call segshift; without comments, continued lines joined."""
    text = "\n".join(_BLOCK.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    text = re.sub(r"<<'(\w+)'\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [line for line in text.splitlines() if line.startswith("segshift ")]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_what_is_made_of_a_page_is_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == whole(page), "run `python tools/methods_page.py`"


def test_every_method_and_term_has_a_page() -> None:
    described = {term for page in PAGES.values() for term in page.terms}
    assert set(METHODS) | set(TERMS) <= described | {"align"}  # docs/architecture.md shows `align`


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=lambda page: page.stem)
def test_every_command_of_a_page_can_be_given(page: Path) -> None:
    for command in commands(page):
        words = [word for word in shlex.split(command, comments=True)[1:] if word not in ("…", "...")]
        found: click.Command = typer.main.get_command(app)
        while isinstance(found, click.Group) or hasattr(found, "commands"):
            found, words = found.commands[words[0]], words[1:]
        try:
            found.make_context(str(found.name), list(words), resilient_parsing="…" in command)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {command}: {error.format_message()}")
        recipe = words[0] if words and found.name in _RECIPES else "own.yaml"
        assert recipe.endswith((".yaml", "RECIPE")) or recipe in preset_names(), f"{page.name}: {command}"
        if found.name == "diagnose" and "--only" in words:
            assert set(analysis_names(words[words.index("--only") + 1]) or ()) <= set(PARTS)


@pytest.mark.parametrize(
    "page", ["docs/which_method.md", "benchmarks/RESULTS.md", "README.md", "docs/compare.md"]
)
def test_pages_of_results_link_the_glossary(page: str) -> None:
    assert "glossary.md" in (ROOT / page).read_text(encoding="utf-8")


def test_links_to_the_glossary_lead_to_a_word() -> None:
    words = re.findall(r"^## (.+)$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", word.lower()).replace(" ", "-") for word in words}
    for page in [ROOT / "README.md", ROOT / "benchmarks/RESULTS.md", *DOCS]:
        for anchor in re.findall(r"glossary\.md#([\w-]+)", page.read_text(encoding="utf-8")):
            assert anchor in anchors, f"{page.name}: #{anchor}"
