"""Answers of networks as files and HTML: pictures for the page, downloads, legends."""

from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from segshift.data.labels import ClassSet
from segshift.pictures import Pixels, hex_color, overlay
from segshift.plain import one_line, share_in_words
from segshift.report.drawings.strips import entropy_colors
from segshift.serve.seeing import Seen

_SHOWN_PX = 1600
"""The longest side of a picture on the page; downloads have the image's own size."""
_QUALITY = 90


def show_image(pixels: Pixels, file: Path) -> Path:
    """A picture for the page, at most `_SHOWN_PX` long, as JPEG."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((_SHOWN_PX, _SHOWN_PX), Image.Resampling.BILINEAR)
    picture.save(file, format="JPEG", quality=_QUALITY)
    return file


def show_overlay(seen: Seen, opacity: float, file: Path) -> Path:
    """The classes' colors on the image, for the page."""
    height, width = seen.ids.shape
    size = Image.new("L", (width, height))
    size.thumbnail((_SHOWN_PX, _SHOWN_PX))
    # Label maps lose pixels, not values; mixed at the size of the page, which is quicker.
    ids = np.asarray(Image.fromarray(seen.ids).resize(size.size, Image.Resampling.NEAREST))
    image = np.asarray(Image.fromarray(seen.image).resize(size.size, Image.Resampling.BILINEAR))
    return show_image(overlay(image, ids, seen.classes, opacity), file)


def show_entropy(seen: Seen, file: Path) -> Path:
    """Where the network is unsure, for the page."""
    return show_image(entropy_colors(seen.entropy), file)


def write_label(seen: Seen, file: Path) -> Path:
    """The train ids as PNG, of the image's size."""
    return _write(seen.ids, file)


def write_overlay(seen: Seen, opacity: float, file: Path) -> Path:
    """The classes' colors on the image as PNG, of the image's size."""
    return _write(overlay(seen.image, seen.ids, seen.classes, opacity), file)


def _write(pixels: Pixels, file: Path) -> Path:
    Image.fromarray(pixels).save(file, format="PNG", compress_level=1)
    return file


def legend_table(seen: Seen, title: str) -> str:
    """HTML: color, train id, name and share of every class that occurs, the largest first."""
    rows = "".join(
        f"<tr><td>{_swatch(seen.classes, name)}</td><td>{seen.classes.names.index(name)}</td>"
        f"<td>{escape(one_line(name))}</td><td>{share_in_words(share, 1)}</td></tr>"
        for name, share in seen.shares().items()
    )
    mean = float(seen.entropy.mean()) / 255
    return (
        f"<table class='legend'><caption>{escape(one_line(title))}</caption>"
        f"<thead><tr><th></th><th>id</th><th>class</th><th>share</th></tr></thead><tbody>{rows}</tbody>"
        f"<tfoot><tr><td></td><td></td><td>mean entropy / log C</td><td>{mean:.3f}</td></tr></tfoot></table>"
    )


def _swatch(classes: ClassSet, name: str) -> str:
    color = hex_color(classes.palette[classes.names.index(name)])
    return f"<span class='swatch' style='background:{color}'></span>"


def probability_table(answers: dict[str, dict[str, float]], classes: dict[str, ClassSet]) -> str:
    """HTML: the probability of every class by every network, the most probable class first.

    Args:
        answers: by network, the probabilities by class.
        classes: by network.
    """
    names = list(dict.fromkeys(name for answer in answers.values() for name in answer))
    names.sort(key=lambda name: -max(answer.get(name, 0.0) for answer in answers.values()))
    colors = {name: _swatch(one, name) for one in classes.values() for name in one.names}
    head = "".join(f"<th>{escape(one_line(model))}</th>" for model in answers)
    rows = "".join(
        f"<tr><td>{colors[name]}</td><td>{escape(one_line(name))}</td>"
        + "".join(_bar(answer.get(name)) for answer in answers.values())
        + "</tr>"
        for name in names
    )
    head = f"<thead><tr><th></th><th>class</th>{head}</tr></thead>"
    return f"<table class='legend'>{head}<tbody>{rows}</tbody></table>"


def _bar(share: float | None) -> str:
    if share is None:
        return "<td>not its class</td>"
    width, words = f"{100 * share:.1f}%", share_in_words(share, 1)
    return f"<td class='bar'><span style='width:{width}'></span><b>{words}</b></td>"


def shown_scale(seen: Seen) -> float:
    """Pixels of the image to a pixel of its picture on the page."""
    return max(1.0, max(map(int, seen.ids.shape)) / _SHOWN_PX)
