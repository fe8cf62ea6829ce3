"""Label a folder of images on a Ray cluster: `python examples/cluster/ray_predict.py MODEL FOLDER OUT`.

Each actor loads the network once and writes NAME_label.png (train ids) and NAME_overlay.png, as
`segshift predict` does and by the same predictor; what is there already is kept, so that a killed job goes
on. All nodes have to see the three paths. Needs `ray[data]`.
"""

import argparse
from pathlib import Path
from typing import Any

import ray

from segshift.data.photos import find_photos
from segshift.engine.prediction import Predictor
from segshift.models import load


class Labeller:
    """One network, for all the batches that an actor gets."""

    def __init__(self, model: str, out: str, device: str) -> None:
        self.predictor = Predictor(load(model).to(device), model, Path(out))
        self.predictor.begin([])

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Label the files `path` by their `name`; `kept` says which were there already."""
        kept = []
        for name, path in zip(batch["name"], batch["path"], strict=True):
            there = self.predictor.finished(name, Path(path))
            if not there:
                self.predictor.predict(name, self.predictor.read(Path(path)), Path(path))
            kept.append(there)
        return {"name": batch["name"], "kept": kept}


def label(model: str, folder: str, out: str, actors: int, device: str) -> dict[str, int]:
    """Label all images below a folder; how many, and how many of them were there already."""
    named = find_photos([Path(folder)], Path(out)).named
    # The folder is claimed once, before the actors share it.
    Predictor(load(model), model, Path(out)).begin(named)
    rows = [{"name": name, "path": str(path.absolute())} for name, path in named.items()]
    done = ray.data.from_items(rows).map_batches(
        Labeller,
        fn_constructor_args=(model, out, device),
        batch_size=8,
        concurrency=actors,
        num_gpus=1 if device.startswith("cuda") else 0,
    )
    labelled = done.take_all()
    return {"labelled": len(labelled), "kept": sum(bool(row["kept"]) for row in labelled)}


def main() -> None:
    """Label, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "folder", "out"):
        parser.add_argument(name)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(label(options.model, options.folder, options.out, options.actors, options.device))


if __name__ == "__main__":
    main()
