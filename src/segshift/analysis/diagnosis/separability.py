"""The separability experiment: can a small network tell two domains apart by patches of a given size?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segshift.analysis.diagnosis.classifiers import Network, domain_classifier
from segshift.analysis.diagnosis.held_out import (
    HELD_OUT_SHARE,
    effective_count,
    hold_out,
    proxy_a_distance,
    wilson,
)
from segshift.gradients import add_gradients
from segshift.progress import Done

# Errors of a constant learning rate jump about; their mean over the last validations is reported.
_LAST = 3


@dataclass(frozen=True)
class SeparabilitySettings:
    """How the classifiers are trained; the defaults are for one CPU core.

    Attributes:
        network: "small" (see `classifiers.SmallResNet`) or "resnet18", the paper's.
        iterations: of stochastic gradient descent.
        validate_every: iterations between two points of the curve.
        batch_size: half of it from each domain.
        learning_rate: constant.
        momentum: of the gradient descent.
        weight_decay: of the gradient descent.
        held_out: images of each domain to test on; None takes a quarter of the smaller domain.
        held_out_patches: of each of those images.
        seeds: a run each.
        device: where the networks run.
    """

    network: Network = "small"
    iterations: int = 250
    validate_every: int = 25
    batch_size: int = 16
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    held_out: int | None = None
    held_out_patches: int = 2
    seeds: tuple[int, ...] = (0, 1, 2)
    device: str = "cpu"


@dataclass(frozen=True)
class Separability:
    """How well patches of one size can be told apart.

    Attributes:
        iterations: (V,) at which the classifiers were validated; none for one that has no iterations.
        errors: (S, V) balanced error on held-out images of every seed, in [0, 1].
        final: (S,) mean of each seed's last three.
        images: different held-out images behind `error`, of both domains.
        effective: independent images that they are worth.
    """

    iterations: tuple[int, ...]
    errors: NDArray[np.float64]
    final: NDArray[np.float64]
    images: int
    effective: float

    @property
    def error(self) -> float:
        """Mean over seeds of `final`."""
        return float(self.final.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the error; patches of one image and seeds of one image count as one image."""
        return wilson(self.error, self.effective)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {
            "error": self.error,
            "error_std": float(self.final.std(ddof=1)) if len(self.final) > 1 else 0.0,
            "error_interval_95": list(self.interval),
            "proxy_a_distance": proxy_a_distance(self.error),
            "held_out_images": self.images,
            "effective_images": self.effective,
            "errors_of_seeds": self.final.tolist(),
        }
        if self.iterations:
            found["curve"] = {
                "iterations": list(self.iterations),
                "mean": self.errors.mean(axis=0).tolist(),
                "std": self.curve_std.tolist(),
            }
        return found

    @property
    def curve_std(self) -> NDArray[np.float64]:
        """(V,) deviation of the errors over seeds."""
        deviation: NDArray[np.float64] = self.errors.std(axis=0, ddof=1 if len(self.errors) > 1 else 0)
        return deviation


def separability(
    domains: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    patch: tuple[int, int] | None,
    classes: int | None,
    settings: SeparabilitySettings,
    progress: Done = lambda done, total: None,
) -> Separability:
    """Train a classifier to tell source from target, and test it on images it has not seen.

    Args:
        domains: source and target, in recording order: (N, h, w) train ids, or (N, h, w, 3) RGB.
        patch: (width, height) in cells of the squares that are cut at random places and resized to (h, w);
            None shows whole maps.
        classes: number of planes of the one-hot input; None for RGB.
        settings: see `SeparabilitySettings`.
        progress: called with the iterations that are done, and all.

    Source: Cicek et al., Spatial class distribution shift in unsupervised domain adaptation, ACCV 2020,
    figure 1 and section 4.1.
    """
    at = tuple(range(settings.validate_every, settings.iterations + 1, settings.validate_every))
    curves: list[list[float]] = []
    sequences: list[NDArray[np.float64]] = []
    tested: tuple[set[int], set[int]] = (set(), set())
    for turn, seed in enumerate(settings.seeds):
        run = _Run(domains, patch, classes, settings, seed, turn)
        found = []
        for iteration in range(1, settings.iterations + 1):
            run.train_step()
            if iteration % settings.validate_every == 0:
                found.append(run.validate())
            progress(turn * settings.iterations + iteration, len(settings.seeds) * settings.iterations)
        curves.append([float(np.mean([one.mean() for one in errors])) for errors in found])
        for domain in range(2):
            sequences.append(np.mean([errors[domain] for errors in found[-_LAST:]], axis=0))
            tested[domain].update(run.test[domain].tolist())
    errors = np.array(curves)
    images = len(tested[0]) + len(tested[1])
    return Separability(
        at, errors, errors[:, -_LAST:].mean(axis=1), images, effective_count(images, sequences, run.trained)
    )


def held_out_images(counts: Sequence[int], held_out: int | None) -> int:
    """Held-out images of each domain, the same number of both: what is asked for, or a quarter."""
    smaller = min(counts)
    wanted = round(HELD_OUT_SHARE * smaller) if held_out is None else held_out
    return max(1, min(wanted, smaller // 2))


class _Run:
    """One seed: the network, its optimizer, and which images are held out."""

    def __init__(
        self,
        domains: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        patch: tuple[int, int] | None,
        classes: int | None,
        settings: SeparabilitySettings,
        seed: int,
        turn: int,
    ) -> None:
        self._settings, self._patch = settings, patch
        self._planes = None if classes is None else torch.eye(classes, device=settings.device)
        self._domains = [torch.from_numpy(one) for one in domains]
        held_out = held_out_images([len(one) for one in domains], settings.held_out)
        splits = [hold_out(len(one), held_out, turn) for one in domains]
        self._train, self.test = [split[0] for split in splits], [split[1] for split in splits]
        self.trained = sum(len(split[0]) for split in splits)
        self._random = np.random.default_rng(seed)
        self._queues: list[list[int]] = [[], []]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = domain_classifier(settings.network, classes or 3)
        self._network.to(memory_format=torch.channels_last).to(settings.device)
        self._parameters = list(self._network.parameters())
        self._optimizer = torch.optim.SGD(
            self._parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        # The same held-out patches every time, so that a curve shows training and not the draw.
        repeats = 1 if patch is None else settings.held_out_patches
        self._held_out = [
            self._cut(domain, np.repeat(self.test[domain], repeats), np.random.default_rng(seed + 1_000_003))
            for domain in range(2)
        ]
        self._repeats = repeats

    def train_step(self) -> None:
        """One iteration of gradient descent on as many patches of either domain."""
        half = max(1, self._settings.batch_size // 2)
        patches = torch.cat([self._cut(d, self._draw(d, half), self._random) for d in range(2)])
        truth = torch.cat([torch.zeros(half), torch.ones(half)]).to(self._settings.device)
        self._network.train()
        logits = self._network(self._encode(patches))[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, truth)
        self._optimizer.zero_grad()
        add_gradients(loss, self._parameters)
        self._optimizer.step()

    def validate(self) -> list[NDArray[np.float64]]:
        """For each domain the share of wrong answers on every held-out image's patches."""
        self._network.eval()
        found = []
        with torch.inference_mode():
            for domain, patches in enumerate(self._held_out):
                answers = torch.cat(
                    [self._network(self._encode(part))[:, 0].cpu() > 0 for part in torch.split(patches, 64)]
                )
                wrong = (answers != bool(domain)).double().reshape(-1, self._repeats)
                found.append(wrong.mean(dim=1).numpy())
        return found

    def _draw(self, domain: int, count: int) -> NDArray[np.int64]:
        """The next training images, all of them once before any comes again."""
        while len(self._queues[domain]) < count:
            self._queues[domain] += self._random.permutation(self._train[domain]).tolist()
        drawn, self._queues[domain] = self._queues[domain][:count], self._queues[domain][count:]
        return np.array(drawn)

    def _cut(self, domain: int, places: NDArray[np.int64], random: np.random.Generator) -> Tensor:
        """(n, h, w) or (n, h, w, 3) uint8: patches of some images at random places, or whole ones."""
        maps = self._domains[domain]
        if self._patch is None:
            return maps[torch.from_numpy(places)]
        width, height = self._patch
        tops = random.integers(0, maps.shape[1] - height + 1, len(places)).tolist()
        lefts = random.integers(0, maps.shape[2] - width + 1, len(places)).tolist()
        return torch.stack(
            [
                maps[place, top : top + height, left : left + width]
                for place, top, left in zip(places.tolist(), tops, lefts, strict=True)
            ]
        )

    def _encode(self, patches: Tensor) -> Tensor:
        """(n, channels, h, w) float input of the network at the size of the canvas."""
        patches = patches.to(self._settings.device)
        size = (self._domains[0].shape[1], self._domains[0].shape[2])
        if self._planes is not None:
            ids = F.interpolate(patches[:, None].float(), size, mode="nearest-exact")[:, 0].long()
            # Rows of the identity, channels last, as the network's memory: half the time of one_hot.
            return F.embedding(ids, self._planes).permute(0, 3, 1, 2)
        images = patches.permute(0, 3, 1, 2).float() / 127.5 - 1
        return F.interpolate(images, size, mode="bilinear", align_corners=False)
