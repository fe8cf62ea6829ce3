"""`segshift data translate`: a translated copy of a data set that keeps its labels."""

from segshift.cli.arguments import parse_size
from segshift.cli.commands.translate import Translate
from segshift.cli.output import print_json, progress, results
from segshift.data.resolve import resolve
from segshift.engine.translation import translate_split
from segshift.plain import counted
from segshift.terminal import say


def translate_dataset(options: Translate) -> None:
    """What `segshift data translate` does."""
    outcome = translate_split(
        options.translator,
        resolve(options.data, "train", labels="optional"),
        options.out,
        size=None if options.size is None else parse_size(options.size, "--size"),
        image_format=options.image_format,
        limit=options.limit,
        workers=options.workers,
        progress=progress,
    )
    if options.as_json:
        print_json(
            {
                "dataset": str(outcome.dataset),
                "split": outcome.split,
                "images": outcome.images,
                "translated_now": outcome.made,
                "contact_strip": str(outcome.contact_strip),
            }
        )
    else:
        say(results, f"{counted(outcome.images, 'image')}, {outcome.made} of them translated now")
        say(results, f"use them as {outcome.dataset}; look at {outcome.contact_strip}")
