"""Points for the t-SNE: which are taken, what they are, and that the picture can be made again."""

import numpy as np
import pytest

from segshift.analysis.embedding import GRANULARITIES, PointSampler, embed, patch_features, tsne
from segshift.analysis.features import FeatureMap
from segshift.errors import InputError


def look(seed: int, height: int = 9, width: int = 13, depth: int = 6) -> FeatureMap:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(depth, height, width)).astype(np.float32)
    labels = generator.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))
    return FeatureMap(features, labels, 0.5)


def test_patches_are_block_means_with_the_commonest_class() -> None:
    one = look(0)
    one.labels[:4, :4] = 255
    one.labels[0, 0] = 2
    features, classes = patch_features(one, 4)
    expected = []
    for top in (0, 4):
        for left in (0, 4, 8):
            ids = one.labels[top : top + 4, left : left + 4].reshape(-1)
            known = ids[ids != 255]
            if 2 * len(known) >= len(ids):
                mean = one.features[:, top : top + 4, left : left + 4].reshape(6, -1).mean(axis=1)
                expected.append((mean, np.bincount(known).argmax()))
    assert 0 < len(expected) == len(classes) < 6, "the first block has one label of sixteen"
    np.testing.assert_allclose(features, np.array([mean for mean, _ in expected]), rtol=1e-5, atol=1e-6)
    assert classes.tolist() == [train_id for _, train_id in expected]
    whole, _ = patch_features(look(1, 2, 3), 4)
    np.testing.assert_allclose(whole, look(1, 2, 3).features.mean(axis=(1, 2))[None], rtol=1e-5)


def test_a_sampler_keeps_a_bounded_uniform_sample() -> None:
    sampler = PointSampler(limit=5, patch_cells=2)
    for seed in range(12):
        sampler.add(look(seed), seed % 2)
    for level in ("patch", "class"):
        points = sampler.points(level)
        for train_id in range(3):
            for domain in range(2):
                assert ((points.classes == train_id) & (points.domains == domain)).sum() == 5
    images = sampler.points("image")
    assert images.domains.tolist() == [0] * 6 + [1] * 6 and set(images.classes.tolist()) == {-1}
    means = {tuple(look(seed).descriptor.round(5)) for seed in range(12)}
    assert {tuple(row.round(5)) for row in images.features} == means
    # Every image has its chance: over many seeds each of six is among the two that stay about as often.
    counts = np.zeros(6)
    features = [look(seed).features.reshape(6, -1) for seed in range(6)]
    own = [f[:, look(seed).labels.reshape(-1) == 0].mean(axis=1) for seed, f in enumerate(features)]
    for seed in range(120):
        chosen = PointSampler(limit=2, seed=seed)
        for index in range(6):
            chosen.add(look(index), 0)
        points = chosen.points("class")
        for row in points.features[points.classes == 0]:
            counts[[np.allclose(row, mean, atol=1e-5) for mean in own]] += 1
    assert counts.sum() == 240 and counts.min() > 20 and counts.max() < 60


def test_every_point_keeps_the_name_of_its_image() -> None:
    sampler, seen = PointSampler(limit=4, patch_cells=2, seed=3), {}
    for seed in range(8):
        one = look(seed)
        sampler.add(one, seed % 2, f"image {seed}")
        flat, ids = one.features.reshape(6, -1), one.labels.reshape(-1)
        seen[f"image {seed}"] = [
            patch_features(one, 2)[0],
            np.array([flat[:, ids == train_id].mean(axis=1) for train_id in range(3)]),
            one.descriptor[None],
        ]
    for place, level in enumerate(GRANULARITIES):
        points = sampler.points(level)
        assert len(points.images) == len(points.features) and len(set(points.images)) > 4
        for features, name, domain in zip(points.features, points.images, points.domains, strict=True):
            assert np.isclose(seen[name][place], features, atol=1e-5).all(axis=1).any(), (level, name)
            assert int(name[-1]) % 2 == domain


def test_equal_seeds_give_equal_samples_and_planes() -> None:
    samplers = [PointSampler(limit=3, seed=seed) for seed in (7, 7, 8)]
    for sampler in samplers:
        for index in range(6):
            sampler.add(look(index), index % 2)
    first, again, other = (embed(sampler, perplexity=5, seed=1) for sampler in samplers)
    assert list(first) == list(GRANULARITIES)
    for level in GRANULARITIES:
        np.testing.assert_array_equal(first[level][0].features, again[level][0].features)
        np.testing.assert_array_equal(first[level][1], again[level][1])
    assert not np.array_equal(first["patch"][0].features, other["patch"][0].features)


def test_separated_groups_stay_separated_in_the_plane() -> None:
    generator = np.random.default_rng(0)
    groups = [generator.normal(20 * index, 1, (15, 60)) for index in range(2)]
    plane = tsne(np.concatenate(groups).astype(np.float32), perplexity=5)
    assert plane.shape == (30, 2)
    distances = np.linalg.norm(plane[:, None] - plane[None], axis=2) + 1e9 * np.eye(30)
    assert (distances.argmin(axis=1) // 15).tolist() == [0] * 15 + [1] * 15


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((5, 3)), "5 points; it takes 6 or more"),
        (np.full((9, 3), np.nan), "not finite"),
        (np.ones((9, 3)), "all features are equal"),
    ],
)
def test_what_has_no_picture_is_said(features: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        tsne(features.astype(np.float32))


def test_levels_with_too_few_points_are_left_out() -> None:
    sampler = PointSampler()
    sampler.add(look(0, 20, 20), 0)
    sampler.add(look(1, 20, 20), 1)
    assert list(embed(sampler, perplexity=5)) == ["patch", "class"]
    with pytest.raises(InputError, match="no image has a class"):
        PointSampler().points("image")
    with pytest.raises(InputError, match="must be at least 1"):
        PointSampler(limit=0)
