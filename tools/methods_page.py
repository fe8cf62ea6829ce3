"""Write what can be read off the code into docs/methods: `python tools/methods_page.py`.

The idea and its equation at the top of a page are written by hand. All below the mark is made here: options
from the `Config` classes, presets, measured gains and deviations from their YAML files, and the tables of
docs/which_method.md from benchmarks/RESULTS.md. A test compares the pages with what this makes.
"""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from segshift.analysis.diagnosis.measured import Gain, measurements
from segshift.documents import read_yaml
from segshift.engine.recipe_files import preset_data, preset_names
from segshift.methods import METHODS, TERMS, method_class
from segshift.models.segmenter_config import MultiResolutionConfig

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDER = DOCS / "methods"
CHOICE = DOCS / "which_method.md"
RESULTS = DOCS.parent / "benchmarks" / "RESULTS.md"
MARK = "<!-- Below: written by tools/methods_page.py from the code, the presets and what was measured. -->\n"
_SMALL = "small (laptop)"


@dataclass(frozen=True)
class Page:
    """What one page is about.

    Attributes:
        title: of the method, with its paper's year.
        terms: keys of `TERMS` or `METHODS`, or another part of a recipe, whose options are listed.
        presets: patterns of their names.
        small: the preset whose deviations are listed.
    """

    title: str
    terms: tuple[str, ...]
    presets: tuple[str, ...]
    small: str


PAGES = {
    "adaptpatch": Page("AdaptPatch (2019)", ("patch",), ("adaptpatch*", "fusion_*"), "adaptpatch"),
    "local_alignment": Page(
        "Local alignment (2020)", ("local_alignment",), ("local_alignment*",), "local_alignment"
    ),
    "clan": Page("CLAN (2019)", ("clan",), ("clan*",), "clan"),
    "lsd": Page("LSD (2018)", ("lsd",), ("lsd*",), "lsd"),
    "fada": Page("FADA (2020)", ("fada",), ("fada*",), "fada"),
    "adaptsegnet": Page("AdaptSegNet (2018)", ("output_alignment",), ("adaptsegnet*",), "adaptsegnet"),
    "feature_alignment": Page(
        "Feature alignment", ("feature_alignment",), ("feature_alignment*",), "feature_alignment"
    ),
    "advent": Page("AdvEnt and MinEnt (2019)", ("advent", "minent"), ("advent*", "minent*"), "advent"),
    "mcd": Page("MCD (2018), as a paper of your own", ("examples/sixth_paper/mcd.py:MCD",), (), ""),
    "cyclegan": Page(
        "CycleGAN and CyCADA (2017, 2018)", ("cyclegan",), ("cyclegan*", "cycada*", "pixel_*"), "cyclegan"
    ),
    "adabn": Page("AdaBN (2016)", ("adabn",), ("adabn*", "adapt_adabn"), "adabn"),
    "mean_teacher": Page(
        "Mean teacher, DACS (2021)",
        ("mean_teacher",),
        ("mean_teacher*", "*_plus_mean_teacher"),
        "mean_teacher",
    ),
    "pseudo_labels": Page(
        "Pseudo labels: CBST, MRKLD, LRENT (2018, 2019)",
        ("confidence_regularization", "label_regularization", "screened_self_training"),
        ("cbst*", "mrkld*", "lrent*", "screened_self_training*"),
        "cbst",
    ),
    "daformer": Page("DAFormer (2022)", ("feature_distance",), ("daformer*",), "daformer"),
    "hrda": Page("HRDA (2022)", ("model.multi_resolution",), ("hrda*", "mic_hrda*"), "hrda"),
    "mic": Page("MIC (2023)", ("masked_consistency",), ("mic*",), "mic"),
    "sepico": Page("SePiCo (2023)", ("class_contrast",), ("sepico*",), "sepico"),
    "vfm_uda": Page(
        "VFM-UDA (2024, 2025)", ("masked_consistency", "feature_distance"), ("vfm_uda*",), "vfm_uda"
    ),
    "source_free": Page(
        "Without source images: Tent and self-training",
        ("balanced_self_training", "class_shares"),
        ("adapt_*",),
        "adapt_self_training",
    ),
}


def generated(name: str) -> str:
    """What stands below the mark of a page."""
    page = PAGES[name]
    parts = [MARK]
    parts += [_options(term) for term in page.terms]
    names = sorted({one for pattern in page.presets for one in preset_names() if fnmatch(one, pattern)})
    if names:
        parts.append(_presets(names))
    parts.append(_measured(names))
    if page.small:
        parts.append(_deviations(page.small, names))
    return "\n".join(parts)


def _options(term: str) -> str:
    config, title = _config(term), _title(term)
    meanings = _meanings(config)
    rows = [
        f"| `{name}` | {_cell(_default(field))} | {_cell(meanings.get(name, ''))} |"
        for name, field in config.model_fields.items()
        if name not in ("name", "term") or term not in (*METHODS, *TERMS)
        if not (name == "name" and term.endswith("MCD"))
    ]
    return f"## Options of {title}\n\n| option | default | means |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _title(term: str) -> str:
    if term in TERMS:
        return f"the term `{term}`"
    return f"the method `{term}`" if term in METHODS else f"`{term.rpartition('/')[2]}`"


def _config(term: str) -> type[BaseModel]:
    if term == "model.multi_resolution":
        return MultiResolutionConfig
    if term in TERMS:
        return TERMS[term].Config
    return method_class(str(DOCS.parent / term) if "/" in term else term).Config


def _meanings(config: type[BaseModel]) -> dict[str, str]:
    """What the docstrings of a configuration and of those that it extends say about each attribute."""
    found: dict[str, str] = {}
    for one in reversed(config.__mro__):
        text = inspect.cleandoc(one.__doc__ or "")
        _, _, attributes = text.partition("Attributes:\n")
        for match in re.finditer(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE):
            for name in match[1].split(", "):
                found[name] = " ".join(match[2].split())
    return found


def _default(field: Any) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see the schema"
    shown = {"None": "null", "True": "true", "False": "false"}.get(str(value), value)
    if isinstance(value, tuple):
        shown = list(value)
    choices = [one for one in get_args(field.annotation) if isinstance(one, str)]
    others = ", ".join(f"`{one}`" for one in choices if one != value)
    return f"`{shown}`" + (f" (or {others})" if others else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _presets(names: list[str]) -> str:
    rows = []
    for name in names:
        data = preset_data(name)
        provenance = data.get("provenance") or {}
        own = data.get("group") == _SMALL or "group" not in data
        reported = "" if own else _numbers(provenance.get("reported") or {})
        rows.append(f"| `{name}` | {_cell(str(data.get('description', '')))} | {reported} |")
    head = (
        "## Presets\n\n`segshift presets show NAME` prints one. *Reported* is the paper's mIoU in %, not ours"
    )
    head += " (\\* over 13 classes).\n\n"
    return head + "| preset | what it is | reported |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _numbers(reported: dict[str, float]) -> str:
    parts = [f"{reported['mIoU']:g}"] if "mIoU" in reported else []
    parts += [f"{reported['mIoU_star']:g}\\*"] if "mIoU_star" in reported else []
    return " ".join(parts)


def _measured(names: list[str]) -> str:
    head = "## Measured by us\n\n"
    rows = [
        f"| {pair.pair} | `{name}` | {_gain(pair.methods[name])} | {_gain(pair.oracle)} |"
        for pair in measurements().pairs
        for name in names
        if name in pair.methods
    ]
    full = "More runs, among them losses, are in [RESULTS.md](../../benchmarks/RESULTS.md).\n"
    if not rows:
        return head + f"Not on several seeds yet. {full}"
    seeds = min(pair.seeds for pair in measurements().pairs)
    return (
        f"{head}Gain over a [control](../glossary.md#control) of equal steps, in points of mIoU, {seeds} "
        "seeds, small networks and budgets.\n\n| pair | preset | gain | [oracle](../glossary.md#oracle) |\n"
        "|---|---|---|---|\n" + "\n".join(rows) + f"\n\n{full}"
    )


def _gain(gain: Gain) -> str:
    return f"{gain.mean:+.1f} ± {gain.spread:.1f}"


def _deviations(small: str, names: list[str]) -> str:
    provenance = preset_data(small).get("provenance") or {}
    parts = ["## Deviations\n"]
    if provenance.get("paper"):
        parts.append(f"The paper: {provenance['paper']}.\n")
    parts.append(_list(f"The preset `{small}` fits a laptop, and differs from the paper in", provenance))
    large = [name for name in names if preset_data(name).get("group", _SMALL) != _SMALL]
    if large:
        first = next((one for one in large if "gta5_cityscapes_resnet101" in one), large[0])
        parts.append(_list(f"`{first}`, at the paper's size, differs in", preset_data(first)["provenance"]))
    stated = provenance.get("stated")
    if stated:
        entries = read_yaml(DOCS.parent / "src/segshift/presets/stated" / f"{stated}.yaml")["stated"]
        parts.append(
            f"A test holds every preset against {len(entries)} values that the paper states "
            f"([list](../../src/segshift/presets/stated/{stated}.yaml)).\n"
        )
    return "\n".join(parts)


def _list(head: str, provenance: dict[str, Any]) -> str:
    items = {key: text for key, text in (provenance.get("deviations") or {}).items() if text is not None}
    if not items:
        return ""
    lines = [f"- {key.replace('_', ' ')}: {_cell(' '.join(text.split()))}" for key, text in items.items()]
    return f"{head}\n\n" + "\n".join(lines) + "\n"


def choice() -> str:
    """The tables of docs/which_method.md: the pairs of RESULTS.md, their methods by gain.

    A section of several pairs is named only: its rows would not be comparable in one table.
    """
    parts = []
    for section in re.split(r"^## ", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, rows = section.splitlines()[0], list(_gains(section))
        if not rows:
            continue
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        link = f"[RESULTS.md](../benchmarks/RESULTS.md#{anchor}).\n"
        pairs = len({row[0] for row in rows})
        if pairs > 1:
            parts.append(f"### {title}\n\nThe tables of {pairs} pairs, one by one: {link}")
            continue
        lines = [f"| {arm} | {miou} | {gain} |" for *_, arm, miou, gain in sorted(rows, reverse=True)]
        head = f"### {title}\n\n| method | mIoU in % | gain over the control, points |\n|---|---|---|\n"
        parts.append(head + "\n".join(lines) + f"\n\nCommand, classes and budget: {link}")
    return MARK + "\n## What we measured\n\n" + "\n".join(parts)


def _gains(section: str) -> Iterator[tuple[int, float, str, str, str]]:
    """Of the rows of a section's tables with one column of gains: table, gain, arm, mIoU, gain in words."""
    columns: list[str] = []
    table = 0
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("| arm |"):
            columns, table = cells, table + 1
        elif not line.startswith("|"):
            columns = []
        elif sum("gain" in one for one in columns) == 1 and len(cells) == len(columns):
            row = dict(zip(columns, cells, strict=True))
            gain = next(value for name, value in row.items() if "gain" in name).split(" (")[0]
            number = re.match(r"[+-]\d+\.\d+", gain)
            if number and "mIoU" in row:
                yield table, float(number[0]), row["arm"], row["mIoU"].split(" (")[0], gain


def whole(page: Path) -> str:
    """A page: what stands there by hand, and what is made."""
    by_hand, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        by_hand = by_hand.rstrip("\n") + "\n\n"
    return by_hand + (choice() if page == CHOICE else generated(page.stem))


def pages() -> list[Path]:
    """All pages that are made here in part."""
    return [CHOICE, *(FOLDER / f"{name}.md" for name in PAGES)]


if __name__ == "__main__":
    for one in pages():
        one.write_text(whole(one), encoding="utf-8")
