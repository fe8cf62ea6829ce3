"""What the raw values of the catalogue's label files stand for, by name, from the data sets' documentation.

Written apart from the catalogue, which holds numbers, so that a slip there is found.
"""

from collections.abc import Sequence

CITY = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip

# Cityscapes' labels 0 to 33 and GTA5's 34, by name.
LABEL_IDS = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
    "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel",
    "pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider",
    "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle", "license plate",
)  # fmt: skip

SYNTHIA = (
    "void", "sky", "building", "road", "sidewalk", "fence", "vegetation", "pole", "car", "traffic sign",
    "person", "bicycle", "motorcycle", "parking slot", "road work", "traffic light", "terrain", "rider",
    "truck", "bus", "train", "wall", "lane marking",
)  # fmt: skip

ROBOTCAR = {
    0: None, 1: "sky", 2: "person", 3: "two-wheeler", 4: "automobile", 5: "traffic sign", 6: "traffic light",
    7: "building", 8: None, 9: None, 10: "sidewalk", 11: "road", 12: "road", 13: "road", 14: "road", 15: None,
    16: None, 17: "road",
}  # fmt: skip

VISTAS = (
    "bird", "ground animal", "curb", "fence", "guard rail", "other barrier", "wall", "bike lane",
    "crosswalk plain", "curb cut", "parking", "pedestrian area", "rail track", "road", "service lane",
    "sidewalk", "bridge", "building", "tunnel", "person", "bicyclist", "motorcyclist", "other rider",
    "crosswalk zebra", "marking general", "mountain", "sand", "sky", "snow", "terrain", "vegetation", "water",
    "banner", "bench", "bike rack", "billboard", "catch basin", "cctv camera", "fire hydrant", "junction box",
    "mailbox", "manhole", "phone booth", "pothole", "street light", "pole", "traffic sign frame",
    "utility pole", "traffic light", "traffic sign back", "traffic sign front", "trash can", "bicycle",
    "boat", "bus", "car", "caravan", "motorcycle", "on rails", "other vehicle", "trailer", "truck",
    "wheeled slow", "car mount", "ego vehicle", "unlabeled",
)  # fmt: skip
VISTAS_OTHERWISE = {
    "curb": "sidewalk", "curb cut": "sidewalk", "pedestrian area": "sidewalk", "bike lane": "road",
    "crosswalk plain": "road", "service lane": "road", "crosswalk zebra": "road", "marking general": "road",
    "manhole": "road", "pothole": "road", "bicyclist": "rider", "motorcyclist": "rider",
    "other rider": "rider", "sand": "terrain", "street light": "pole", "traffic sign frame": "pole",
    "utility pole": "pole", "traffic sign front": "traffic sign", "on rails": "train",
}  # fmt: skip

CAMVID_COLORS = {
    "Animal": (64, 128, 64), "Archway": (192, 0, 128), "Bicyclist": (0, 128, 192), "Bridge": (0, 128, 64),
    "Building": (128, 0, 0), "Car": (64, 0, 128), "CartLuggagePram": (64, 0, 192), "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128), "Fence": (64, 64, 128), "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64), "Misc_Text": (128, 128, 64), "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64), "ParkingBlock": (64, 192, 128), "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128), "RoadShoulder": (128, 128, 192), "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128), "Sky": (128, 128, 128), "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64), "TrafficLight": (0, 64, 64), "Train": (192, 64, 128), "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192), "Tunnel": (64, 0, 64), "VegetationMisc": (192, 192, 0), "Void": (0, 0, 0),
    "Wall": (64, 192, 0),
}  # fmt: skip
CAMVID_PARTS = {
    "sky": "Sky", "building": "Building Archway Bridge Tunnel Wall", "pole": "Column_Pole TrafficCone",
    "road": "Road LaneMkgsDriv LaneMkgsNonDriv", "sidewalk": "Sidewalk ParkingBlock RoadShoulder",
    "vegetation": "Tree VegetationMisc", "traffic sign": "SignSymbol Misc_Text TrafficLight",
    "fence": "Fence", "car": "Car SUVPickupTruck Truck_Bus Train OtherMoving",
    "person": "Pedestrian Child CartLuggagePram Animal", "bicyclist": "Bicyclist MotorcycleScooter",
}  # fmt: skip
CAMVID_IDS = (
    "sky", "building", "pole", "road", "sidewalk", "vegetation", "traffic sign", "fence", "car", "person",
    "bicyclist",
)  # fmt: skip
IDD_LEVEL1 = (
    "drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects", "sky",
)  # fmt: skip

# Which class of a set the city's classes are where their names differ.
CAMVID_CITY = {
    "wall": "building", "traffic light": "traffic sign", "truck": "car", "bus": "car", "train": "car",
    "rider": "bicyclist", "bicycle": "bicyclist", "motorcycle": "bicyclist",
}  # fmt: skip
ROBOTCAR_CITY = {
    "car": "automobile", "truck": "automobile", "bus": "automobile", "bicycle": "two-wheeler",
    "motorcycle": "two-wheeler", "rider": "person",
}  # fmt: skip
IDD_CITY = {
    "road": "drivable", "sidewalk": "non-drivable", "terrain": "non-drivable", "building": "far objects",
    "vegetation": "far objects", "person": "living things", "rider": "living things", "car": "vehicles",
    "truck": "vehicles", "bus": "vehicles", "train": "vehicles", "motorcycle": "vehicles",
    "bicycle": "vehicles", "wall": "roadside objects", "fence": "roadside objects",
    "pole": "roadside objects", "traffic light": "roadside objects", "traffic sign": "roadside objects",
}  # fmt: skip


def ids_of(names: Sequence[str], classes: Sequence[str]) -> dict[int, str | None]:
    """The classes of numbered names; names that are no class of the set are None."""
    return {value: name if name in classes else None for value, name in enumerate(names)}


def train_ids_of(names: Sequence[str], void: int = 255) -> dict[int, str | None]:
    """Files that hold train ids and one void value."""
    return {**dict(enumerate(names)), void: None}


def camvid_colors() -> dict[int, str | None]:
    """CamVid's colors, coded as R * 65536 + G * 256 + B; each class's most usual color is its first."""
    reduced = {part: name for name, parts in CAMVID_PARTS.items() for part in parts.split()}
    usual = {parts.split()[0] for parts in CAMVID_PARTS.values()}
    return {
        red << 16 | green << 8 | blue: reduced.get(part)
        for part in sorted(CAMVID_COLORS, key=lambda part: part not in usual)
        for red, green, blue in [CAMVID_COLORS[part]]
    }


def vistas_ids() -> dict[int, str | None]:
    """Mapillary Vistas' 66 ids."""
    named = {value: VISTAS_OTHERWISE.get(name, name) for value, name in enumerate(VISTAS)}
    return {value: name if name in CITY else None for value, name in named.items()}
