"""The styles: everything in which one synthetic domain differs from another."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Sky:
    """Colors (RGB, 0..255) overhead, at the horizon and of the clouds; cover: share of cloud (0..1)."""

    zenith: Color
    horizon: Color
    cloud: Color
    cover: Range


@dataclass(frozen=True)
class Style:
    """One domain. Ranges are drawn uniformly per image; shares are probabilities.

    Viewpoint: camera_height_m above the road; high_camera_share of the images are taken from
    high_camera_height_m; horizon is the horizon's row as a share of the picture's height; yaw_deg, roll_deg
    are standard deviations; field_of_view_deg across the longer side; sidewalk_camera_share of the cameras
    stand beside the road.
    Layout: lane_width_m; lanes each way; sidewalk_width_m; verge_share of the sides have a strip of grass;
    setback_m between sidewalk and facades; building_height_m; open_share of the sides without a row of
    buildings; gap_share of the plots left empty; left_hand_share of streets drive on the left; bend_per_m
    standard deviation.
    Density (expected numbers relative to 1): traffic, parking, people, trees, furniture. leafless_share of
    the trees.
    Palette: facades and foliage (RGB colors to vary), paints of vehicles, saturation of the finished
    picture, asphalt grey 0..255.
    Light: sun_share of the images in sunshine, sun_elevation_deg, sun gain, ambient gain (RGB), skies,
    haze_per_m, lamps_lit, window_light_share of lit windows.
    Sensor: exposure gain, contrast exponent (gamma), white_balance standard deviation, noise standard
    deviation in grey levels, blur_px standard deviation at 480 pixels of width, jpeg_quality (100, 100 =
    none), vignetting share of light lost in the corners, hood_share of images in which the own car's hood
    is seen.
    """

    name: str
    camera_height_m: Range
    high_camera_share: float
    high_camera_height_m: Range
    horizon: Range
    yaw_deg: float
    roll_deg: float
    field_of_view_deg: Range
    sidewalk_camera_share: float
    lane_width_m: Range
    lanes: tuple[int, int]
    sidewalk_width_m: Range
    verge_share: float
    setback_m: Range
    building_height_m: Range
    open_share: float
    gap_share: float
    left_hand_share: float
    bend_per_m: float
    traffic: float
    parking: float
    people: float
    trees: float
    furniture: float
    leafless_share: float
    facades: tuple[Color, ...]
    foliage: tuple[Color, ...]
    paints: tuple[Color, ...]
    saturation: Range
    asphalt: Range
    sun_share: float
    sun_elevation_deg: Range
    sun: Color
    ambient: Color
    skies: tuple[Sky, ...]
    haze_per_m: Range
    lamps_lit: bool
    window_light_share: float
    exposure: Range
    gamma: Range
    white_balance: float
    noise: Range
    blur_px: Range
    jpeg_quality: tuple[int, int]
    vignetting: Range
    hood_share: float


_VIVID_PAINTS = (
    (238, 238, 240), (30, 32, 38), (196, 28, 30), (32, 84, 176), (240, 190, 30), (36, 130, 70), (150, 152,
    158), (235, 110, 30), (92, 40, 120), (70, 160, 190),
)  # fmt: skip
_DRAB_PAINTS = (
    (228, 228, 226), (186, 188, 190), (122, 124, 128), (64, 66, 72), (30, 31, 34), (40, 52, 92), (92, 112,
    140), (128, 30, 32), (88, 26, 34), (46, 74, 62), (150, 140, 118), (170, 166, 160),
)  # fmt: skip

_GAME = Style(
    name="city:game",
    camera_height_m=(1.3, 2.6), high_camera_share=0.35, high_camera_height_m=(3.0, 7.0),
    horizon=(0.28, 0.55), yaw_deg=7.0, roll_deg=0.6, field_of_view_deg=(55.0, 85.0),
    sidewalk_camera_share=0.12, lane_width_m=(3.2, 4.0), lanes=(1, 3), sidewalk_width_m=(2.5, 5.0),
    verge_share=0.35, setback_m=(0.0, 6.0), building_height_m=(7.0, 34.0), open_share=0.2, gap_share=0.14,
    left_hand_share=0.0, bend_per_m=0.0006, traffic=1.0, parking=0.8, people=1.0, trees=1.0, furniture=1.0,
    leafless_share=0.04, facades=((214, 190, 150), (176, 110, 80), (226, 222, 212), (150, 160, 176), (196,
    150, 110), (120, 130, 140),
             (222, 200, 120), (168, 84, 66), (130, 160, 150), (206, 170, 160)),
    foliage=((70, 120, 40), (92, 136, 48), (52, 100, 46), (120, 140, 52), (80, 128, 64)),
    paints=_VIVID_PAINTS, saturation=(1.15, 1.5), asphalt=(90.0, 128.0),
    sun_share=0.8, sun_elevation_deg=(22.0, 60.0), sun=(0.52, 0.48, 0.40), ambient=(0.66, 0.70, 0.78),
    skies=(
        Sky((58, 120, 208), (176, 210, 240), (250, 250, 252), (0.0, 0.45)),
        Sky((86, 146, 214), (206, 222, 236), (252, 250, 246), (0.2, 0.7)),
        Sky((110, 140, 190), (244, 214, 170), (255, 236, 210), (0.1, 0.5)),
    ),
    haze_per_m=(0.0005, 0.0035), lamps_lit=False, window_light_share=0.0,
    exposure=(0.94, 1.12), gamma=(0.92, 1.08), white_balance=0.015, noise=(0.0, 0.8), blur_px=(0.0, 0.25),
    jpeg_quality=(100, 100), vignetting=(0.0, 0.05), hood_share=0.0,
)  # fmt: skip

_OVERCAST = Style(
    name="city:overcast",
    camera_height_m=(1.15, 1.5), high_camera_share=0.0, high_camera_height_m=(1.5, 1.5),
    horizon=(0.40, 0.54), yaw_deg=3.5, roll_deg=1.0, field_of_view_deg=(48.0, 66.0),
    sidewalk_camera_share=0.0, lane_width_m=(2.8, 3.5), lanes=(1, 2), sidewalk_width_m=(1.8, 4.2),
    verge_share=0.15, setback_m=(0.0, 3.0), building_height_m=(5.5, 18.0), open_share=0.18, gap_share=0.18,
    left_hand_share=0.5, bend_per_m=0.0009, traffic=1.0, parking=1.0, people=1.2, trees=0.9, furniture=1.2,
    leafless_share=0.45, facades=((128, 78, 62), (150, 104, 84), (172, 160, 142), (118, 112, 104), (190,
    184, 172), (106, 70, 58),
             (146, 138, 128), (164, 140, 112)),
    foliage=((66, 80, 48), (82, 88, 54), (58, 70, 44), (104, 96, 56), (76, 84, 62)),
    paints=_DRAB_PAINTS, saturation=(0.5, 0.85), asphalt=(92.0, 130.0),
    sun_share=0.08, sun_elevation_deg=(15.0, 35.0), sun=(0.26, 0.25, 0.23), ambient=(0.80, 0.82, 0.84),
    skies=(
        Sky((196, 200, 206), (226, 228, 230), (236, 238, 240), (0.5, 0.9)),
        Sky((150, 158, 170), (212, 214, 216), (222, 224, 228), (0.6, 1.0)),
        Sky((238, 240, 242), (244, 245, 245), (248, 248, 248), (0.3, 0.8)),
    ),
    haze_per_m=(0.002, 0.013), lamps_lit=False, window_light_share=0.06,
    exposure=(0.78, 1.08), gamma=(0.95, 1.3), white_balance=0.028, noise=(2.0, 6.5), blur_px=(0.3, 0.8),
    jpeg_quality=(40, 85), vignetting=(0.05, 0.28), hood_share=0.3,
)  # fmt: skip

_DUSK = Style(
    name="city:dusk",
    camera_height_m=(1.15, 1.6), high_camera_share=0.0, high_camera_height_m=(1.6, 1.6),
    horizon=(0.40, 0.56), yaw_deg=4.0, roll_deg=1.2, field_of_view_deg=(50.0, 70.0),
    sidewalk_camera_share=0.0, lane_width_m=(2.9, 3.6), lanes=(1, 2), sidewalk_width_m=(1.8, 4.2),
    verge_share=0.25, setback_m=(0.0, 5.0), building_height_m=(5.5, 24.0), open_share=0.25, gap_share=0.22,
    left_hand_share=0.4, bend_per_m=0.0009, traffic=1.0, parking=0.9, people=0.9, trees=1.1, furniture=1.1,
    leafless_share=0.35, facades=((150, 96, 76), (166, 150, 130), (126, 120, 116), (188, 176, 160), (110,
    76, 66), (140, 130, 134)), foliage=((62, 78, 44), (76, 84, 50), (54, 66, 44), (96, 88, 52)),
    paints=_DRAB_PAINTS, saturation=(0.6, 1.0), asphalt=(84.0, 116.0),
    sun_share=0.0, sun_elevation_deg=(3.0, 10.0), sun=(0.3, 0.2, 0.12), ambient=(0.60, 0.55, 0.58),
    skies=(
        Sky((74, 88, 136), (246, 170, 104), (184, 124, 108), (0.2, 0.8)),
        Sky((60, 70, 112), (226, 150, 120), (128, 104, 118), (0.3, 0.9)),
        Sky((104, 114, 148), (250, 208, 150), (196, 160, 146), (0.2, 0.7)),
        Sky((44, 54, 92), (176, 140, 136), (88, 84, 104), (0.2, 0.8)),
    ),
    haze_per_m=(0.0015, 0.008), lamps_lit=True, window_light_share=0.3,
    exposure=(0.8, 1.25), gamma=(0.85, 1.2), white_balance=0.035, noise=(4.0, 10.0), blur_px=(0.3, 1.0),
    jpeg_quality=(35, 80), vignetting=(0.1, 0.4), hood_share=0.3,
)  # fmt: skip

STYLES: dict[str, Style] = {style.name: style for style in (_GAME, _OVERCAST, _DUSK)}
