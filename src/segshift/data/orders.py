"""Which image a draw takes: every image in turn, rare classes first, or several data sets by weight.

An order maps the number of a draw (0, 1, 2 ...) to an index, and depends on nothing else than its arguments:
a resumed run goes on exactly, and several processes share the draws of one.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from segshift.data.sampler import Order, UniformOrder, Wish, make_room, mix
from segshift.errors import InputError

SUB_EPOCH = 3000
"""Images after which `ClassBalancedOrder` forgets what it has drawn, as FADA's code does."""

_STREAM = 0x5851F42D4C957F2D  # sets the hashes of choices apart from those of `epoch_order` and `draw_seed`


class RareClassOrder(Order):
    """Draw a class, the rarer the likelier, then any of the images that hold enough of it.

    P(c) = exp((1 - f_c) / T) / sum_k exp((1 - f_k) / T), with f_c the share of class c among the labelled
    pixels (DAFormer; Hoyer, Dai & Van Gool, CVPR 2022, section 3.3). As in its code, the random crop can be
    repeated until it shows the class.

    Args:
        pixels: (N, C) int64, the pixels of each class in each image.
        seed: of the choices.
        temperature: T.
        min_pixels: an image holds a class with so many pixels of it. Classes without any are left out.
        crop_tries: how often a crop is drawn at most until it shows the class.
        crop_pixels: a crop shows it with so many pixels of it.

    Raises:
        InputError: no image holds any class.
    """

    def __init__(
        self,
        pixels: NDArray[np.int64],
        seed: int,
        *,
        temperature: float,
        min_pixels: int,
        crop_tries: int = 1,
        crop_pixels: int = 1,
    ) -> None:
        self.length, self._seed = len(pixels), seed
        self._crop_tries, self._crop_pixels = crop_tries, crop_pixels
        self._images = _images_by_class(pixels, min_pixels)
        frequencies = pixels.sum(axis=0) / max(1, int(pixels.sum()))
        held = np.array([images.size > 0 for images in self._images])
        # The largest exponent is taken off: with T = 0.01 exp(1 / T) would be 1e43.
        exponents = np.where(held, (1 - frequencies) / temperature, -np.inf)
        weights = np.exp(exponents - exponents.max())
        self.probabilities: NDArray[np.float64] = weights / weights.sum()
        """(C,): how likely each class is drawn."""
        self._steps = np.cumsum(self.probabilities)

    def index(self, draw: int) -> int:
        """The image of a draw, 0..length - 1."""
        images = self._images[self._train_id(draw)]
        return int(images[int(_unit(self._seed, 2 * draw + 1) * images.size)])

    def wish(self, draw: int) -> Wish | None:
        """The class of a draw, for its crop, where that may be repeated."""
        if self._crop_tries == 1:
            return None
        return Wish(self._train_id(draw), self._crop_pixels, self._crop_tries)

    def _train_id(self, draw: int) -> int:
        chosen = _unit(self._seed, 2 * draw) * self._steps[-1]
        return int(np.searchsorted(self._steps, chosen, side="right"))


class ClassBalancedOrder(Order):
    """Draw a class, the fewer images with it were drawn lately the likelier, then its list's next image.

    Within a sub-epoch of 3000 images, with n_c the images drawn so far that hold class c, the next class has
    P(c) ~ 1 / ln(1.01 + n_c / sum_k n_k); every class walks a random permutation of the images that hold it
    (public code of FADA, core/datasets/gta5.py; Wang et al., ECCV 2020). Unlike there, the permutations begin
    anew with every sub-epoch, so that none depends on the one before it.

    Args:
        pixels: (N, C) int64, the pixels of each class in each image.
        seed: of the choices.
        min_pixels: an image holds a class with so many pixels of it. Classes without any are left out.

    Raises:
        InputError: no image holds any class.
    """

    def __init__(self, pixels: NDArray[np.int64], seed: int, *, min_pixels: int) -> None:
        self.length, self._seed = len(pixels), seed
        self._images = _images_by_class(pixels, min_pixels)
        self._holds = pixels >= min_pixels
        self._classes = [index for index, images in enumerate(self._images) if images.size > 0]
        self._blocks: dict[int, NDArray[np.int64]] = {}

    def index(self, draw: int) -> int:
        """The image of a draw, 0..length - 1."""
        block, place = divmod(draw, SUB_EPOCH)
        if block not in self._blocks:
            make_room(self._blocks)
            self._blocks[block] = self._sub_epoch(block)
        return int(self._blocks[block][place])

    def _sub_epoch(self, block: int) -> NDArray[np.int64]:
        seed = mix(mix(self._seed ^ _STREAM) ^ block)
        turns = [UniformOrder(self._images[index].size, mix(seed ^ index)) for index in self._classes]
        taken = [0] * len(self._classes)
        counts = np.zeros(len(self._classes))
        holds = self._holds[:, self._classes].astype(np.float64)
        drawn = np.empty(SUB_EPOCH, np.int64)
        for place in range(SUB_EPOCH):
            steps = np.cumsum(1 / np.log(1.01 + counts / max(1.0, counts.sum())))
            chosen = int(np.searchsorted(steps, _unit(seed, place) * steps[-1], side="right"))
            image = self._images[self._classes[chosen]][turns[chosen].index(taken[chosen])]
            taken[chosen] += 1
            counts += holds[image]
            drawn[place] = image
        return drawn


class MixedOrder(Order):
    """Several data sets, one after the other in the index, each drawn in proportion to its weight.

    Data set d has floor(n w_d) or one more of the first n draws, with w_d its share of the weights, so that
    batches have the weights' proportions as nearly as whole images can.

    Args:
        orders: of the data sets.
        weights: positive, of any scale.
    """

    def __init__(self, orders: Sequence[Order], weights: Sequence[float]) -> None:
        self._orders = tuple(orders)
        self.length = sum(order.length for order in orders)
        self._starts = [0, *accumulate(order.length for order in orders)]
        # Fractions: the place of draw number 10**7 must not depend on rounding.
        exact = [Fraction(weight).limit_denominator(10**6) for weight in weights]
        rest = [sum(exact[index:], Fraction(0)) for index in range(len(exact))]
        self._shares = [weight / total for weight, total in zip(exact, rest, strict=True)]

    def index(self, draw: int) -> int:
        """The image of a draw, 0..length - 1, counted through all data sets."""
        start, order, own = self._own(draw)
        return start + order.index(own)

    def wish(self, draw: int) -> Wish | None:
        """What the draw's data set wishes for."""
        _, order, own = self._own(draw)
        return order.wish(own)

    def _own(self, draw: int) -> tuple[int, Order, int]:
        """The data set of a draw: where it starts, its order, and the number of its own draw."""
        for start, order, share in zip(self._starts, self._orders, self._shares, strict=False):
            before = draw * share.numerator // share.denominator
            if (draw + 1) * share.numerator // share.denominator > before:
                return start, order, before
            # The draw belongs to one of the remaining data sets, as their draw of this number.
            draw -= before
        raise AssertionError("the last share is 1")


def _images_by_class(pixels: NDArray[np.int64], min_pixels: int) -> list[NDArray[np.int64]]:
    images = [np.flatnonzero(column >= min_pixels) for column in pixels.T]
    if not any(one.size for one in images):
        raise InputError(
            f"no image has {min_pixels} pixels of any class, so that classes cannot be sampled; lower "
            "`sampling.min_pixels`"
        )
    return images


def _unit(seed: int, number: int) -> float:
    """A hash of both as a float in [0, 1)."""
    return (mix(mix(seed ^ _STREAM) + number) >> 11) / 2**53
