"""The renderer: deterministic, every class, every size, labels that agree with the picture."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from segshift.city import STYLES, render
from segshift.city.camera import NEAR_M, Camera, clip_to_view
from segshift.city.canvas import SUPERSAMPLING, Canvas, Texture
from segshift.city.classes import BUILDING, CAR, PERSON, POLE, ROAD, SKY
from segshift.city.light import Light
from segshift.city.mesh import MeshBuilder
from segshift.city.street import Drawable, painting_order
from segshift.errors import InputError

SMALL = (96, 64)
TRAIN_IDS = set(range(19)) | {255}


def level_camera(width: int = 64, height: int = 48) -> Camera:
    position = np.array([0.0, 1.5, 0.0])
    return Camera(width, height, 50.0, position, Camera.rotation_of(0.0, 0.0, 0.0))


def flat_light() -> Light:
    up = np.array([0.0, 1.0, 0.0])
    return Light(up, np.zeros(3), np.ones(3), np.zeros(3), 0.0, False)


def digest(style: str, seed: int) -> str:
    scene = render(style, seed, SMALL)
    return hashlib.sha256(scene.image.tobytes() + scene.label.tobytes()).hexdigest()


@pytest.mark.process
def test_same_bytes_in_another_process_whatever_was_rendered_before() -> None:
    render("city:dusk", 5, SMALL)
    here = [digest(style, 7) for style in sorted(STYLES)]
    code = (
        "import hashlib\n"
        "from segshift.city import STYLES, render\n"
        "for style in sorted(STYLES, reverse=True):\n"
        "    scene = render(style, 7, (96, 64))\n"
        "    print(hashlib.sha256(scene.image.tobytes() + scene.label.tobytes()).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == here[::-1]


def test_seeds_and_styles_differ() -> None:
    digests = [digest(style, seed) for style in STYLES for seed in (1, 2, 3)]
    assert len(set(digests)) == len(digests)


def test_a_render_does_not_depend_on_what_was_rendered_before() -> None:
    first = digest("city:game", 11)
    for seed in range(4):
        render("city:game", seed, (160, 96))
    assert digest("city:game", 11) == first


@pytest.mark.parametrize("size", [(96, 64), (160, 96), (64, 48), (48, 80), (33, 47), (240, 180)])
@pytest.mark.parametrize("style", sorted(STYLES))
def test_shapes_types_and_values(style: str, size: tuple[int, int]) -> None:
    scene = render(style, 3, size)
    assert scene.image.shape == (size[1], size[0], 3)
    assert scene.label.shape == (size[1], size[0])
    assert scene.image.dtype == scene.label.dtype == np.uint8
    assert set(np.unique(scene.label).tolist()) <= TRAIN_IDS
    assert scene.image.std() > 10


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_class_occurs(style: str) -> None:
    counts = np.zeros(256, int)
    for seed in range(60):
        counts += np.bincount(render(style, seed, SMALL).label.ravel(), minlength=256)
    share = counts / counts.sum()
    assert np.flatnonzero(share[:19] < 2e-4).tolist() == []
    # No class swallows the picture, as a ground polygon that spills over the sky would.
    assert share[ROAD] < 0.55
    assert 0.05 < share[SKY] < 0.4
    assert share[255] < 0.05


def test_styles_differ_in_brightness_and_saturation() -> None:
    brightness, saturation = {}, {}
    for style in STYLES:
        images = np.stack([render(style, seed, SMALL).image for seed in range(16)]).astype(float)
        brightness[style] = images.mean()
        saturation[style] = (images.max(-1) - images.min(-1)).mean()
    assert brightness["city:dusk"] < brightness["city:overcast"] - 8 < brightness["city:game"] - 8
    assert saturation["city:game"] > 1.5 * saturation["city:overcast"]


def test_sky_is_above_the_road() -> None:
    for seed in range(6):
        label = render("city:overcast", seed, SMALL).label
        rows = np.arange(label.shape[0])[:, None] * np.ones_like(label, dtype=float)
        assert rows[label == SKY].mean() < rows[label == ROAD].mean() - 10


def test_scenes_keep_their_layout_at_other_sizes() -> None:
    small, large = render("city:game", 21, (96, 72)).label, render("city:game", 21, (288, 216)).label
    agreement = (small == large[1::3, 1::3]).mean()
    assert agreement > 0.85


@pytest.mark.parametrize(
    ("style", "seed", "size", "message"),
    [
        ("city:gmae", 0, SMALL, "city:game"),
        ("city:game", -1, SMALL, "seed"),
        ("city:game", 0, (16, 64), "16x64"),
        ("city:game", 0, (96, 100_000), "96x100000"),
    ],
)
def test_bad_input_is_explained(style: str, seed: int, size: tuple[int, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        render(style, seed, size)


def test_label_and_picture_share_their_geometry() -> None:
    canvas = Canvas(level_camera(), flat_light())
    white = np.full(3, 255.0)
    corners = np.array([[-1.0, 0.4, 6.0], [0.7, 0.2, 6.0], [0.9, 2.3, 6.0], [-0.6, 2.1, 6.0]])
    canvas.polygon(corners, white, CAR)
    painted = canvas.pixels[..., 0] == 255
    assert painted.sum() > 100
    assert np.array_equal(painted, canvas.pixels[..., 3] == CAR)


def test_polygon_is_where_the_pinhole_model_puts_it() -> None:
    canvas = Canvas(level_camera(), flat_light())
    canvas.polygon(
        np.array([[-1, 0.5, 10], [1, 0.5, 10], [1, 2.5, 10], [-1, 2.5, 10]], float), np.ones(3), CAR
    )
    rows, columns = np.nonzero(canvas.pixels[..., 3] == CAR)
    # 1 m at 10 m with a focal length of 50 px is 5 px; the middle is at (32, 24), one metre either way.
    assert (columns.min(), columns.max() + 1) == pytest.approx((27, 37), abs=1)
    assert (rows.min(), rows.max() + 1) == pytest.approx((19, 29), abs=1)


def test_textured_plane_and_plain_polygon_cover_the_same_pixels() -> None:
    corners = np.array([[2.0, 4.0, 30.0], [2.0, 4.0, -2.0], [2.0, 0.0, -2.0], [2.0, 0.0, 30.0]])
    plain, textured = (Canvas(level_camera(), flat_light()) for _ in range(2))
    plain.polygon(corners, np.full(3, 200.0), BUILDING)
    texture = Texture(np.full((40, 80, 3), 200, np.uint8), BUILDING)
    textured.plane(texture, corners, np.ones(3), 0.0)
    assert (plain.pixels[..., 3] == BUILDING).sum() > 50
    assert np.array_equal(plain.pixels[..., 3], textured.pixels[..., 3])
    assert np.abs(plain.pixels[..., :3].astype(int) - textured.pixels[..., :3]).max() <= 1


def test_sprite_writes_label_exactly_where_it_writes_colour() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.integers(0, 256, (60, 30)).astype(np.uint8)
    canvas = Canvas(level_camera(), flat_light())
    texture = Texture(np.full((60, 30, 3), 255, np.uint8), PERSON, alpha)
    canvas.sprite(texture, (0.0, 0.0, 4.0), (1.0, 1.9), np.ones(3))
    assert np.array_equal(canvas.pixels[..., 0] > 0, canvas.pixels[..., 3] == PERSON)
    assert (canvas.pixels[..., 3] == PERSON).any()


def test_reduction_takes_the_most_common_label_and_the_mean_colour() -> None:
    canvas = Canvas(level_camera(4, 4), flat_light())
    canvas.pixels[:2, :2, 3] = [[POLE, CAR], [CAR, SKY]]
    canvas.pixels[:2, :2, 0] = [[0, 100], [100, 200]]
    canvas.pixels[:2, 2:, 3] = [[POLE, SKY], [SKY, SKY]]
    image, label = canvas.reduced()
    assert SUPERSAMPLING == 2
    assert label.tolist()[0] == [CAR, SKY]
    assert image[0, 0, 0] == 100


def test_faces_that_look_away_are_not_painted() -> None:
    builder = MeshBuilder()
    builder.box((-1.0, 0.0, 8.0), (1.0, 2.0, 10.0), 0, CAR)
    mesh = builder.build()
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0)
    centres = np.array([mesh.vertices_m[face].mean(0) for face in mesh.faces])
    outwards = centres - np.array([0.0, 1.0, 9.0])
    assert (np.einsum("ij,ij->i", mesh.normals, outwards) > 0).all()
    canvas = Canvas(level_camera(), flat_light())
    canvas.mesh(mesh, np.array([[200.0, 10.0, 10.0]]))
    rows, columns = np.nonzero(canvas.pixels[..., 3] == CAR)
    # Only the front at 8 m is seen from straight ahead: 2 m are 12.5 px.
    assert columns.max() - columns.min() + 1 == pytest.approx(12.5, abs=1.5)
    assert rows.max() - rows.min() + 1 == pytest.approx(12.5, abs=1.5)


def test_clipping_keeps_polygons_in_front_of_the_camera() -> None:
    strip = np.array([[-200.0, 1.5, -5.0], [200.0, 1.5, -5.0], [200.0, 1.5, 300.0], [-200.0, 1.5, 300.0]])
    clipped = clip_to_view(strip)
    assert (clipped[:, 2] >= NEAR_M - 1e-9).all()
    assert (np.abs(clipped[:, 0]) <= 12.0 * clipped[:, 2] + 1e-6).all()
    assert len(clip_to_view(strip - np.array([0.0, 0.0, 400.0]))) == 0


def test_painting_order_puts_what_hides_last() -> None:
    def thing(name: float, x: tuple[float, float], z: tuple[float, float]) -> Drawable:
        return Drawable(x[0], x[1], z[0], z[1], name, "none", lambda canvas: None)

    bus, car, house, person = (
        thing(1, (1.0, 3.5), (5.0, 17.0)),
        thing(2, (4.0, 6.0), (14.0, 18.0)),
        thing(3, (9.0, 20.0), (-5.0, 40.0)),
        thing(4, (2.0, 2.5), (4.0, 4.3)),
    )
    names = [item.height_m for item in painting_order([person, bus, house, car], camera_x_m=0.0)]
    assert all(names.index(a) < names.index(b) for a, b in pairwise([3, 2, 1, 4]))
