"""A report's page, read back."""

import json
from functools import cache
from html.parser import HTMLParser
from typing import Any

from segshift.report.content import Report
from segshift.report.page import render
from tests.report.make import make_report


class Page(HTMLParser):
    """Text by section, table rows, scripts, and the tags with their attributes."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[tuple[dict[str, str], str]] = []
        self.texts: dict[str, str] = {"": ""}
        self.rows: dict[str, list[list[str]]] = {}
        self.open: list[str] = []
        self.section = ""
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = values["id"]
            self.texts[self.section] = ""
        elif tag == "script":
            self.scripts.append((values, ""))
        elif tag == "tr" and "tbody" in self.open:
            self.rows.setdefault(self.section, []).append([])
        elif tag in ("td", "th") and "tbody" in self.open:
            self.rows[self.section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif "style" not in self.open:
            self.texts[self.section] += data
            if "tbody" in self.open and ("td" in self.open or "th" in self.open):
                self.rows[self.section][-1][-1] += data

    def said(self, section: str) -> str:
        return " ".join(self.texts[section].split())

    def data(self, name: str) -> Any:
        return json.loads(next(text for values, text in self.scripts if values.get("id") == name))

    def figure(self, key: str) -> dict[str, Any]:
        """The views of one chart: its script follows its place."""
        places = [values["id"] for tag, values in self.tags if values.get("class", "").startswith("plot ")]
        kept = [
            text for values, text in self.scripts
            if values.get("type") == "application/json" and "id" not in values
        ]  # fmt: skip
        return dict(json.loads(kept[places.index(f"chart-{key}")]))


def shown(report: Report) -> Page:
    return Page(render(report))


@cache
def usual() -> tuple[Report, Page]:
    report = make_report()
    return report, shown(report)
