"""A diagnosis as one HTML file that needs nothing beside itself: what to do, the numbers, the pictures."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segshift import files
from segshift.plain import counted
from segshift.report.base_page import render_template

PAGE = "diagnosis.html"
"""Name of the page in the folder of a diagnosis."""

_PARTS = {
    "frequencies": (
        "Class frequencies",
        "How much of the labelled pixels each class has. A class that one domain never shows cannot be "
        "helped by alignment.",
    ),
    "spatial": (
        "Places of the classes",
        "Where the most frequent classes lie, each on a scale of its own. Placement is how differently a "
        "class is spread over the picture, from 0 to 1, whatever its share.",
    ),
    "colours": (
        "Colors",
        "How the values of each channel are spread, and by how much they are shifted on average.",
    ),
    "separability_labels": (
        "Can label maps be told apart?",
        "The error of a small classifier that sees patches of label maps: at 50 % source and target cannot "
        "be told apart, at 0 % always. Local alignment wants patches that are large enough to hold shapes, "
        "and small enough not to give the domain away.",
    ),
    "separability_images": (
        "Can images be told apart?",
        "The same with patches of the images themselves: low errors mean another light, camera or style.",
    ),
}


class Row(NamedTuple):
    """A number of a diagnosis.

    Attributes:
        what: was measured.
        value: in the unit that `what` names.
        beside: what to hold it against; may be empty.
    """

    what: str
    value: str
    beside: str = ""


def diagnosis_rows(document: Mapping[str, Any]) -> list[Row]:
    """One row per number of a part, for the terminal and the page."""
    found = document["analyses"]
    rows = []
    for name, title in (("frequencies", "class shares"), ("spatial", "class maps")):
        if name in found:
            within = " / ".join(f"{value:.3f}" for value in found[name]["within_domain_bits"].values())
            rows.append(Row(f"{title}, bits", f"{found[name]['jensen_shannon_bits']:.3f}", within))
    if "colours" in found:
        shifts = found["colours"]["wasserstein"]
        rgb = ", ".join(f"{shifts[name]:.0f}" for name in ("red", "green", "blue"))
        lab = ", ".join(f"{shifts[name]:.1f}" for name in ("L", "a", "b"))
        rows += [Row("colors R, G, B, 0..255", rgb), Row("colors L, a, b", lab)]
    for part in ("labels", "images"):
        for size, one in found.get(part, {}).items():
            rows.append(_error(f"{part}, {size if size == 'whole' else size + ' px'}: error", one))
    if "features" in found:
        rows.append(_error("features, linear: error", found["features"]))
        rows.append(Row("features: proxy A-distance", f"{found['features']['proxy_a_distance']:.2f}"))
    if "confidence" in found:
        one = found["confidence"]
        low, high = (100 * end for end in one["interval_95"])
        rows.append(Row("confidence, points less", f"{100 * one['drop']:.1f}", f"{low:.1f} to {high:.1f}"))
    return rows


def write_diagnosis_page(folder: Path, document: Mapping[str, Any], command: str) -> None:
    """Write the page beside diagnosis.json and the pictures that it holds.

    Args:
        folder: of the diagnosis.
        document: as in diagnosis.json.
        command: what to type to get the same.
    """
    files.write_text(folder / PAGE, _render(folder, document, command))


def _render(folder: Path, document: Mapping[str, Any], command: str) -> str:
    source, target = document["data"]
    advice = document["recommendation"]
    return render_template(
        "diagnosis_page.html.j2",
        title=f"{source} → {target}",
        sentences=advice["sentences"],
        train=advice["command"],
        rows=diagnosis_rows(document),
        domains=[_domain(name, document) for name in ("source", "target")],
        classes=None if document["classes"] is None else ", ".join(document["classes"]["names"]),
        predicted=document["model"] if document["label_maps_from"] == "predictions" else None,
        parts=[_part(folder, name, names) for name, names in document["pictures"].items()],
        skipped=document["skipped"],
        command=command,
    )


def _domain(name: str, document: Mapping[str, Any]) -> dict[str, str]:
    argument = document["data"][("source", "target").index(name)]
    one = document[name]
    sizes = ", ".join(one["sizes"])
    return {"name": name, "data": argument, "images": f"{counted(one['images'], 'image')} of {sizes} px"}


def _part(folder: Path, name: str, pictures: list[str]) -> dict[str, str]:
    title, text = _PARTS[name]
    drawn = next(one for one in pictures if one.endswith(".png"))
    content = base64.b64encode((folder / drawn).read_bytes()).decode("ascii")
    anchor = name.replace("_", "-")
    return {"id": anchor, "title": title, "text": text, "uri": f"data:image/png;base64,{content}"}


def _error(what: str, one: Mapping[str, Any]) -> Row:
    low, high = one["error_interval_95"]
    return Row(what, f"{100 * one['error']:.1f}", f"{100 * low:.0f} to {100 * high:.0f}")
