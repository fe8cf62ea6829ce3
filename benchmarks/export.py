"""Size, time and mIoU of a run's exported programs beside the run's own network.

    python benchmarks/export.py RUN [--formats onnx,..] [--precisions fp32,fp16,int8] [--score 50]

Ratios are to the network in PyTorch, timed in the same process: the files hold the plain segmenter, whatever
trained it. Prints a Markdown table.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from segshift.export import Exported, ExportSettings, export
from segshift.models import load


def table(done: Exported, plain_megabytes: float) -> str:
    """The Markdown rows of an export."""
    network = done.files[0].agreement.network_milliseconds
    own = "n/a" if done.result is None else f"{100 * done.result.miou:.1f}"
    rows = [
        "| file | MB | of the network's | ms | of the network's | same class in % | mIoU in % |",
        "|---|---:|---:|---:|---:|---:|---:|",
        f"| the network in PyTorch | {plain_megabytes:.1f} | 1 | {network:.0f} | 1 | 100 | {own} |",
    ]
    for file in done.files:
        found = file.agreement
        miou = "n/a" if file.result is None else f"{100 * file.result.miou:.1f}"
        rows.append(
            f"| `{file.path.name}` | {file.megabytes:.1f} | {file.megabytes / plain_megabytes:.2f} "
            f"| {found.milliseconds:.0f} | {found.milliseconds / found.network_milliseconds:.2f} "
            f"| {100 * found.pixels:.2f} | {miou} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Export a run, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--formats", default="onnx,torch-export,torchscript,safetensors")
    parser.add_argument("--precisions", default="fp32,fp16,int8")
    parser.add_argument("--score", type=int, default=50, help="at most so many labelled images")
    options = parser.parse_args()
    formats: Any = tuple(options.formats.split(","))
    precisions: Any = tuple(options.precisions.split(","))
    with tempfile.TemporaryDirectory() as name:
        settings = ExportSettings(formats, precisions, scored=options.score)
        done = export(options.run, Path(name) / "export", settings)
        plain = Path(name) / "plain.safetensors"
        load(options.run).save(plain)
        print(table(done, plain.stat().st_size / 1e6))
    print(f"\n{done.files[0].agreement.images} images compared; mIoU on {done.scored_on}")
    print("\n".join(done.notes))


if __name__ == "__main__":
    main()
