"""Data sets: classes, files, joint transforms, and which samples a step sees."""

from segshift.data.dataset import Collated, Item, SegmentationDataset, collate
from segshift.data.finder import Sample
from segshift.data.labels import IGNORE, ClassSet, class_mapping, class_set, class_set_names
from segshift.data.resolve import CatalogEntry, agree, catalog, locate, resolve
from segshift.data.sampler import Draw, StepSampler
from segshift.data.spec import DatasetSpec, Split, load_dataset
from segshift.data.transforms import Augmentation, Blur, ColorJitter

__all__ = [
    "IGNORE",
    "Augmentation",
    "Blur",
    "CatalogEntry",
    "ClassSet",
    "Collated",
    "ColorJitter",
    "DatasetSpec",
    "Draw",
    "Item",
    "Sample",
    "SegmentationDataset",
    "Split",
    "StepSampler",
    "agree",
    "catalog",
    "class_mapping",
    "class_set",
    "class_set_names",
    "collate",
    "load_dataset",
    "locate",
    "resolve",
]
