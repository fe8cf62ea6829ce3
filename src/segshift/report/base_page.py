"""What the HTML pages share: the template engine, pictures inside the file, and colors."""

import base64
import io
import json
from typing import Any

import jinja2
from PIL import Image

from segshift.plain import visible


def render_template(name: str, home: str = "segshift.report", /, **values: Any) -> str:
    """A template as text; a value that is missing is an error, text is escaped.

    Args:
        name: of the file.
        home: the package that it lies in; what it extends and includes may lie here.
        values: by name in the template.
    """
    packages = dict.fromkeys([home, "segshift.report"])
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package, "") for package in packages]),
        autoescape=True,
        # Templates escape; what no page can hold at all is made visible first.
        finalize=lambda value: visible(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**values)


def script_json(value: Any) -> str:
    """Compact, strict JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def data_uri(picture: Image.Image, kind: str, **options: Any) -> str:
    """A picture as a `data:` address; `kind` is JPEG or PNG, `options` are Pillow's."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def at_most(picture: Image.Image, width_px: int, resampling: Image.Resampling) -> Image.Image:
    """A picture scaled down to a width, in proportion; narrower ones as they are."""
    if picture.width <= width_px:
        return picture
    return picture.resize((width_px, max(1, round(picture.height * width_px / picture.width))), resampling)
