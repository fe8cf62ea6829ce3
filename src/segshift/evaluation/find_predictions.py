"""Which prediction file belongs to which image of a split: by name, whatever the folders."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from segshift.data.finder import Sample
from segshift.errors import InputError
from segshift.plain import counted

# Preferred in this order when two suffixes fit equally many images.
_SUFFIXES = ("", "_label", "_labelIds", "_labelTrainIds", "_pred", "_prediction")
# Pictures for people that lie beside the ids, as `segshift predict` and cityscapesScripts write them.
_PICTURES = re.compile(r"(^|_)(overlay|color|colour|confidence|legend|vis)$", re.IGNORECASE)
_SEPARATORS = "_-."
_SHOWN = 3


def find_predictions(folder: Path, samples: Sequence[Sample]) -> list[Path]:
    """One PNG per sample, in their order.

    A file belongs to a sample when its name is the sample's stem plus one suffix, which is the same for all
    files: `a.png`, `a_labelIds.png`, `a_leftImg8bit_label.png`. Folders below `folder` do not matter unless
    two samples share a name; then they have to end as the sample's stem says (`frankfurt/a`). Renderings
    (`a_color.png`, `a_overlay.png`, `legend.png`) are passed over.

    Raises:
        InputError: no such folder, samples without a prediction, predictions without a sample, or two
            predictions for a sample.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of the prediction PNGs")
    files = sorted(
        path
        for path in folder.rglob("*.[pP][nN][gG]")
        # What killed writers and macOS leave (`._a.png`) is hidden.
        if not path.name.startswith(".") and path.is_file()
    )
    if not files:
        raise InputError(f"{folder}: holds no PNG; give the folder of the prediction PNGs")
    claims = _claims(folder, files, samples)
    suffix = _suffix(claims, samples, folder)
    chosen = claims[suffix]
    twice = next((paths for paths in chosen.values() if len(paths) > 1), None)
    if twice is not None:
        raise InputError(f"{twice[0]} and {twice[1]} are predictions for the same image; remove one")
    missing = [sample.stem for index, sample in enumerate(samples) if index not in chosen]
    used = {paths[0] for paths in chosen.values()}
    surplus = [
        str(path.relative_to(folder))
        for path in files
        if path not in used and not _PICTURES.search(path.stem)
    ]
    if missing or surplus:
        problems = []
        if missing:
            have = "has" if len(missing) == 1 else "have"
            problems.append(
                f"{len(missing)} of {counted(len(samples), 'image')} {have} no prediction "
                f"(PNG named as the image{f' + {suffix}' if suffix else ''}): {_first(missing)}"
            )
        if surplus:
            problems.append(
                f"{counted(len(surplus), 'file fits', 'files fit')} no image or one twice: {_first(surplus)}"
            )
        raise InputError(f"{folder}: {'; '.join(problems)}; complete the folder or choose the right split")
    return [chosen[index][0] for index in range(len(samples))]


def _claims(
    folder: Path, files: Sequence[Path], samples: Sequence[Sample]
) -> dict[str, dict[int, list[Path]]]:
    """For every suffix: sample index to the files that are its stem plus that suffix."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        by_name[PurePosixPath(sample.stem).name].append(index)
    claims: dict[str, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        name = path.stem
        ends = [len(name), *(i for i in range(len(name) - 1, 0, -1) if name[i] in _SEPARATORS)]
        # The longest stem wins: `a_1_label` belongs to `a_1` and not to `a`.
        end = next((end for end in ends if name[:end] in by_name), None)
        if end is None:
            continue
        candidates = by_name[name[:end]]
        if len(candidates) > 1:
            parts = path.relative_to(folder).parent.parts
            candidates = [index for index in candidates if _ends_with(parts, samples[index].stem)]
        for index in candidates:
            claims[name[end:]][index].append(path)
    return claims


def _ends_with(parts: tuple[str, ...], stem: str) -> bool:
    wanted = PurePosixPath(stem).parent.parts
    return parts[len(parts) - len(wanted) :] == wanted


def _suffix(claims: dict[str, dict[int, list[Path]]], samples: Sequence[Sample], folder: Path) -> str:
    found = Counter({suffix: len(of) for suffix, of in claims.items() if not _PICTURES.search(suffix)})
    if not found:
        raise InputError(
            f"{folder}: no PNG is named after an image of the split (the first is {samples[0].stem}); name "
            "them STEM.png or STEM_labelIds.png"
        )
    most = max(found.values())
    best = [suffix for suffix, count in found.items() if count == most]
    known = [suffix for suffix in _SUFFIXES if suffix in best]
    if len(best) > 1 and not known:
        raise InputError(
            f"{folder}: several PNGs per image ({', '.join(f'*{suffix}.png' for suffix in sorted(best))}); "
            "leave one kind in the folder"
        )
    return known[0] if known else best[0]


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
