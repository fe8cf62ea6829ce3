"""Feed the readers of everything that people and other programs write with damaged texts and files.

`python -m tools.fuzz --cases 20000` prints per kind how many cases were accepted, how many refused by
`InputError`, and every other exception with its case; status 1 if there is one. A seed makes the same cases.
"""

import argparse
import json
import random
import tempfile
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from safetensors import safe_open

from segshift.config import parse
from segshift.data.labels import class_set
from segshift.data.list_files import read_list
from segshift.data.spec import load_dataset
from segshift.documents import parse_yaml
from segshift.engine.comparison import load_comparison
from segshift.engine.health import read_records, replay
from segshift.engine.plan import make_plan
from segshift.engine.presets import load_recipe, preset_text
from segshift.engine.recipe import Recipe
from segshift.errors import InputError
from segshift.models import Segmenter, SegmenterConfig, load
from tools.fuzz_files import MetadataExchanged, file_kinds

Kinds = dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], object]]]
DATASET = """
name: warehouse
root: .
splits:
  train: {images: "rgb/**/*.png", labels: "mask/{stem}_id.png"}
  val: {images: "rgb/{stem}.png", labels: "mask/{stem}.png", list: val.txt}
classes: [floor, rack, pallet]
labels: {kind: ids, map: {7: floor, 11: rack, 012: pallet}, other: ignore, ignore: [255]}
palette: [[128, 64, 128], [0, 0, 0], [1, 2, 3]]
"""
COMPARISON = """
name: two
recipe: {extends: source_only, training: {steps: 2}}
start: {training: {steps: 1}}
arms:
  control: {label: control}
  other: {label: other, after: control, changes: {method: {terms: [{term: minent, weight: 0.1}]}}}
seeds: [0, 1]
"""
LIST = "a\nsub/b\n\n# a remark\nc.png d.png\n\tE.JPG\n"
METRICS = "\n".join(
    json.dumps({"step": step, "losses": {"segmenter/source": 1.5 / step}, "lr": {"segmenter": 1e-3}})
    for step in range(1, 6)
)
ASSIGNMENTS = (
    "training.steps=5",
    "optimizers.segmenter.betas=[0.9, 0.99]",
    "method.terms.0.weight=1e-3",
    "evaluation.scales=[0.5, 1]",
    "source={dataset: my.yaml, split: train, augmentation: {resize: [64, 48], crop: [32, 32]}}",
    "stages=[{name: one, kind: pseudo_label, settings: {size: [64, 48]}}, {name: two, changes: {seed: 3}}]",
    "model.head_dilations=[6, 12]",
    "classes=[road, sky]",
)
# What has broken programs: pieces that a text is damaged with.
PIECES = (
    *(
        "[",
        "]",
        "{",
        "}",
        ":",
        ": ",
        ",",
        "&a ",
        "*a",
        "<<: ",
        "<<",
        "!!int ",
        "!!python/object:x ",
        "? ",
        "|",
    ),
    *("011", "0x", "1e999", ".inf", ".nan", "-1", "0", "9" * 40, "9" * 5000, "1_0", "1:30", "2024-13-45"),
    *("~", "~nosuchuser", "null", "true", "''", '""', "\\0", '"\\0"', "\0", "\ud800", "\ufeff", "\x1b[31m"),
    *("[128,64,128]", "[[[[", "{stem}", "{one}", "..", "/", "a" * 300, "\t", "\r", "\n", "\n  ", "- ", "#"),
    *(
        "extends: x",
        "name",
        "steps",
        "map",
        "terms",
        "training",
        "[/red]",
        "📷",
        "é",
        "٣",
        "²",
        "=",
        "%",
        "NaN",
    ),
)


@dataclass
class Count:
    """What became of the cases of one kind."""

    accepted: int = 0
    refused: int = 0
    broken: dict[str, str] = field(default_factory=dict)


def damaged(text: str, chance: random.Random) -> str:
    """`text` with up to three pieces put in, taken out, doubled or exchanged."""
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice((0, 0, 1, 3, 10, 40)))
        piece = chance.choice((*PIECES, text[start:end] * 2, text[end:][:20]))
        text = text[:start] + piece + text[end:]
    return text


def texts(*bases: str) -> st.SearchStrategy[str]:
    """Damaged copies of some texts; one in eight is nothing but pieces, or any text at all."""

    def made(number: int, any_text: str) -> str:
        chance = random.Random(number)
        if chance.random() < 1 / 16:
            return any_text
        if chance.random() < 1 / 16:
            return "".join(chance.choices(PIECES, k=6))
        return damaged(chance.choice(bases), chance)

    return st.builds(made, st.integers(0, 2**40), st.text(max_size=40))


@contextmanager
def readers(folder: Path) -> Iterator[Kinds]:
    """Per kind its cases, and what reads one; files lie in `folder`."""
    segmenter = Segmenter(
        SegmenterConfig(backbone="segshift_tiny", weights="none"), class_set("cityscapes19")
    )
    segmenter.save(folder / "model.safetensors")
    with safe_open(folder / "model.safetensors", framework="pt") as stream:
        metadata = stream.metadata()["segshift"]
    with_metadata = MetadataExchanged((folder / "model.safetensors").read_bytes())

    def written(name: str, text: str) -> Path:
        path = folder / name
        path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
        return path

    def recipe(text: str) -> object:
        data = {"name": "x", **parse_yaml(text, "recipe.yaml")}
        data.pop("extends", None)
        return make_plan(parse(Recipe, data, "recipe.yaml"))

    def model(text: str) -> object:
        said = {"segshift": text.encode(errors="replace").decode()}
        (folder / "bad.safetensors").write_bytes(with_metadata(said))
        return load(folder / "bad.safetensors")

    yield {
        "recipes": (texts(preset_text("advent"), preset_text("fada_stages"), preset_text("lsd")), recipe),
        "data sets": (texts(DATASET), lambda text: load_dataset(written("data.yaml", text))),
        "comparisons": (texts(COMPARISON), lambda text: load_comparison(written("comparison.yaml", text))),
        "--set": (texts(*ASSIGNMENTS), lambda text: load_recipe("advent", [text])),
        "list files": (texts(LIST), lambda text: read_list(written("list.txt", text))),
        "model metadata": (texts(metadata), model),
        "metrics lines": (texts(METRICS), lambda text: replay(read_records(written("metrics.jsonl", text)))),
        **file_kinds(folder, segmenter),
    }


def fuzz(cases: int, number: int = 0, only: Collection[str] = ()) -> Iterator[tuple[str, Count]]:
    """Read `cases` texts and files, evenly spread over the kinds; `number` is the seed.

    Args:
        cases: of all kinds together.
        number: the seed.
        only: of these kinds alone; their cases stay what they are among all.
    """
    with tempfile.TemporaryDirectory() as scratch, readers(Path(scratch)) as kinds:
        for index, (kind, (strategy, read)) in enumerate(kinds.items()):
            share = cases // len(kinds) + (index < cases % len(kinds))
            if not only or kind in only:
                yield kind, _run(strategy, read, share, number)


def _run(strategy: st.SearchStrategy[Any], read: Callable[[Any], object], cases: int, number: int) -> Count:
    count = Count()

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Any) -> None:
        try:
            read(case)
            count.accepted += 1
        except InputError:
            count.refused += 1
        except Exception as error:  # what we are looking for
            place = traceback.extract_tb(error.__traceback__)[-1]
            count.broken.setdefault(
                f"{type(error).__name__}: {error} ({place.filename}:{place.lineno})", repr(case)
            )

    one()
    return count


def main() -> int:
    """Print a line per kind; the status is 1 if anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", help="only these, by commas; all without it")
    options = parser.parse_args()
    total = Count()
    for kind, count in fuzz(options.cases, options.seed, options.kinds.split(",") if options.kinds else ()):
        _print(kind, count)
        for what, text in count.broken.items():
            print(f"{what[:300]}\n    {text}"[:1500], flush=True)
        total.accepted += count.accepted
        total.refused += count.refused
        total.broken |= count.broken
    _print("all", total)
    return int(bool(total.broken))


def _print(kind: str, count: Count) -> None:
    row = f"{kind:15} {count.accepted:6} accepted {count.refused:6} refused {len(count.broken):3} broken"
    # As soon as it is known: a hundred thousand cases take hours.
    print(row, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
