"""Analyses of trained segmenters: numbers and arrays, which `segshift.report` shows."""

from segshift.analysis.class_centers import ClassCenters, class_center_distance
from segshift.analysis.retrieval import cross_domain_retrieval

__all__ = ["ClassCenters", "class_center_distance", "cross_domain_retrieval"]
