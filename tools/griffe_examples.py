"""The examples of docstrings on the site's reference (named in mkdocs.yml).

griffe's Google style knows a section of doctests by the word `Examples:` alone; under `Example:` it takes the
prompts `>>>` for quotations.
"""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Lets `Example:` head a section of doctests, too."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called with everything that has been read off the source."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
