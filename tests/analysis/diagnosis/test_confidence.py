"""How much less sure a network is of the target, against SciPy's interval of a difference of means."""

import numpy as np
import pytest
from scipy import stats

from segshift.analysis.diagnosis.confidence import confidence_drop


def test_the_drop_and_its_interval_are_those_of_two_independent_means() -> None:
    random = np.random.default_rng(1)
    source, target = random.uniform(0.7, 0.9, 400), random.uniform(0.5, 0.8, 300)
    found = confidence_drop(source, target)
    assert found.drop == pytest.approx(source.mean() - target.mean())
    expected = stats.ttest_ind(source, target, equal_var=False).confidence_interval(0.95)
    # SciPy takes Student's t with some 600 degrees of freedom, which the normal distribution is near.
    assert found.interval == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert found.to_dict()["interval_95"] == list(found.interval)
