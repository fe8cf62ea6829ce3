"""Write docs/datasets.md from the catalogue's YAML files: `python tools/datasets_page.py`.

A test compares the page with what this makes, so that it cannot fall behind.
"""

from pathlib import Path

from segshift.data.labels import class_set, class_set_names
from segshift.data.resolve import DATA_VARIABLE, CatalogEntry, catalog
from segshift.evaluation import starred_classes

PAGE = Path(__file__).resolve().parents[1] / "docs" / "datasets.md"

_INTRODUCTION = f"""\
# Data sets

<!-- Written by tools/datasets_page.py from src/segshift/data/catalog; change the YAML files and run it. -->

segshift downloads nothing: most of these sets ask for a registration, and all have terms of their own. Get
one from its page, unpack it, and give the folder after its name:

    segshift data check gta5:/data/GTA5
    segshift train advent --source gta5:/data/GTA5 --target cityscapes:/data/cityscapes

Or set `{DATA_VARIABLE}` to a folder that holds one folder per set, named as below; then `gta5` alone is
enough. `NAME:PATH:SPLIT` takes another split than the usual one, and `segshift data show NAME` prints what
this page says about a set. A target's label files are never opened and may be missing.

Each entry is a YAML file like one that you write for your own images
([catalog](../src/segshift/data/catalog)): copy the nearest one, change it, and give its path instead of a
name. What the licenses say here is a reminder, not the text that counts.

"""

_CLASS_SETS = """\
## Class sets

`classes:` in a recipe or a data set's YAML takes one of these names or a list of class names. The papers'
tables average over all classes (mIoU) and, where some are starred here, over the others as well (mIoU*).

| name | classes | starred |
|---|---|---|
"""

_CITY = """\
## city

`city:game`, `city:overcast` and `city:dusk` are street scenes of a small procedural city with Cityscapes' 19
classes. They need no download: they are rendered into the cache at their first use. Settings follow the name:
`city:dusk,size=480x360,count=2000,val=200,seed=0`. `segshift data synthesize` writes them into a folder.
"""


def page() -> str:
    """The text of docs/datasets.md."""
    entries = [entry for entry in catalog() if entry.spec is not None]
    rows = ["| write it as | what it is | classes | license |", "|---|---|---|---|"]
    rows += [
        f"| [`{one.argument}`](#{one.name}) | {one.description} | {one.classes.count} | {one.license} |"
        for one in entries
    ]
    sections = "\n".join(_section(entry) for entry in entries)
    sets = [class_set(name) for name in class_set_names()]
    lines = [
        f"| `{one.name}` | {', '.join(one.names)} | {', '.join(starred_classes(one.names))} |\n"
        for one in sets
    ]
    return _INTRODUCTION + "\n".join(rows) + f"\n\n{sections}\n{_CITY}\n{_CLASS_SETS}{''.join(lines)}"


def _section(entry: CatalogEntry) -> str:
    spec = entry.spec
    assert spec is not None
    splits = ", ".join(
        f"`{name}`" if rule.labels is not None else f"`{name}` (unlabelled)"
        for name, rule in spec.splits.items()
    )
    return (
        f"## {entry.name}\n\n{entry.description}. {spec.citation}.\n\n"
        f"- get it from <{spec.homepage}>\n- license: {entry.license}\n"
        f"- folder below `{DATA_VARIABLE}`: `{spec.folder or entry.name}`\n- splits: {splits}\n"
        f"- classes ({entry.classes.name}): {', '.join(entry.classes.names)}\n\n"
        f"```text\n{spec.layout}```\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
