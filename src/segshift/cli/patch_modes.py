"""`segshift data patch-modes`: how the patches of a data set's labels look."""

from segshift.analysis.patch_modes import report_modes
from segshift.cli.arguments import parse_size
from segshift.cli.commands.patch_modes import PatchModes
from segshift.cli.output import print_json, results, working
from segshift.data.resolve import resolve
from segshift.methods.patch_modes import Patches, Sampling
from segshift.report.drawings.patch_modes import draw_modes
from segshift.terminal import say


def patch_modes(options: PatchModes) -> None:
    """What `segshift data patch-modes` does."""
    width, height = parse_size(options.patch, "--patch")
    split = resolve(options.data, "train")
    with working("clustering patches"):
        report = report_modes(
            split,
            Patches(height, width, split.classes.count),
            Sampling(modes=options.modes, images=options.images),
            None if options.size is None else parse_size(options.size, "--size"),
        )
        draw_modes(report, options.out, options.show)
    if options.as_json:
        print_json({**report.to_dict(), "picture": str(options.out)})
    else:
        say(results, f"{options.modes} modes of {report.sampled} patches, drawn in {options.out}")
