"""Can a linear classifier tell two domains apart by a network's features?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from segshift.analysis.diagnosis.held_out import effective_count, hold_out
from segshift.analysis.diagnosis.separability import Separability, held_out_images

# Strong, because there are more features than images.
_INVERSE_REGULARIZATION = 0.01


def linear_separability(
    domains: tuple[NDArray[np.float32], NDArray[np.float32]], held_out: int | None, seeds: Sequence[int]
) -> Separability:
    """Held-out error of a logistic regression on standardized features, each seed with its own held-out part.

    Args:
        domains: (N, F) descriptors of source and target, in recording order.
        held_out: images of each domain to test on; None takes a quarter of the smaller domain.
        seeds: as many turns; the classifier itself has no randomness.
    """
    finals: list[float] = []
    sequences: list[NDArray[np.float64]] = []
    tested: tuple[set[int], set[int]] = (set(), set())
    count = held_out_images([len(one) for one in domains], held_out)
    for turn in range(len(seeds)):
        splits = [hold_out(len(one), count, turn) for one in domains]
        train = np.concatenate([one[split[0]] for one, split in zip(domains, splits, strict=True)])
        truth = np.repeat([0, 1], [len(split[0]) for split in splits])
        classifier = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=_INVERSE_REGULARIZATION, class_weight="balanced", max_iter=2000),
        ).fit(train, truth)
        errors = []
        for domain, (_, test) in enumerate(splits):
            wrong = (classifier.predict(domains[domain][test]) != domain).astype(np.float64)
            errors.append(float(wrong.mean()))
            sequences.append(wrong)
            tested[domain].update(test.tolist())
        finals.append(float(np.mean(errors)))
    images = len(tested[0]) + len(tested[1])
    trained = sum(len(split[0]) for split in splits)
    return Separability(
        (), np.empty((len(seeds), 0)), np.array(finals), images, effective_count(images, sequences, trained)
    )
