"""What mkdocs does not do by itself for the site of docs/ (named in mkdocs.yml).

Pages are written for GitHub: they link to files beside docs/ and write equations between dollars. Here the
README becomes the first page, other pages of the repository join the site, and the notebook as a download;
links to its files are checked and lead to the repository (or are plain text where its address is not known),
equations become MathML, which browsers show without scripts, and the words of the glossary are explained
where they occur.
"""

import html
import logging
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Pages and files that lie elsewhere in the repository, and where they stand on the site.
JOINED = {
    "README.md": "index.md",
    "benchmarks/RESULTS.md": "results.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "examples/sixth_paper/README.md": "sixth_paper.md",
    "examples/quick_start.ipynb": "quick_start.ipynb",
}
# The repository's address, for links to source files: `SEGSHIFT_REPOSITORY=https://... make docs`.
REPOSITORY = os.environ.get("SEGSHIFT_REPOSITORY", "").rstrip("/")

_FENCE = re.compile(r"(^```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_GENERIC_MATH = re.compile(r'<(span|div) class="arithmatex">\\(?:\(|\[)(.*?)\\(?:\)|\])</\1>', re.DOTALL)
_log = logging.getLogger("mkdocs.plugins.segshift")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Let the repository's other pages join."""
    for source, place in JOINED.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site needs them; the glossary's words, explained."""
    place = page.file.src_uri
    home = next((source for source, joined in JOINED.items() if joined == place), f"docs/{place}")
    # `quick` marks what CI runs (tools/readme_commands.py), and no block for the site's Markdown.
    parts = _FENCE.split(re.sub(r"^```(\w+) quick[ \t]*$", r"```\1", markdown, flags=re.MULTILINE))
    parts[::2] = [_LINK.sub(lambda found: _link(found, home, place), part) for part in parts[::2]]
    return "".join(parts) + ("" if place == "glossary.md" else _abbreviations())


def _link(found: re.Match[str], home: str, place: str) -> str:
    image, text, target = found.groups()
    path, hash_, anchor = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return found[0]
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
    on_site = JOINED.get(wanted) or (wanted.removeprefix("docs/") if wanted.startswith("docs/") else None)
    if on_site is not None:
        if (ROOT / wanted).is_dir():
            return text
        relative = posixpath.relpath(on_site, posixpath.dirname(place) or ".")
        # Browsers would show a notebook as the text that it is stored as.
        saved = f'{{ download="{posixpath.basename(on_site)}" }}' if on_site.endswith(".ipynb") else ""
        return f"{image}[{text}]({relative}{hash_}{anchor}){saved}"
    if not (ROOT / wanted).exists():
        _log.warning("%s links to %s, which is not in the repository", home, wanted)
    return f"[{text}]({REPOSITORY}/blob/main/{wanted})" if REPOSITORY else text


def _abbreviations() -> str:
    """Each word of the glossary with its first sentence, as Markdown's abbreviations."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    lines = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        word, _, meaning = section.partition("\n")
        first = re.split(r"(?<=[.])\s", " ".join(meaning.split()))[0]
        plain = _LINK.sub(r"\2", first).replace("`", "")
        lines.append(f"*[{word.strip()}]: {plain}")
    return "\n\n" + "\n".join(lines) + "\n"


def on_page_content(content: str, **_: Any) -> str:
    """Equations as MathML."""
    return _GENERIC_MATH.sub(_mathml, content)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "div" else "inline"
    # What \text{...} holds is words, whose abbreviations Markdown may have marked.
    source = html.unescape(re.sub(r"</?\w+[^>]*>", "", found[2])).strip()
    return f'<{found[1]} class="math">{convert(source, display=display)}</{found[1]}>'
