"""Comparisons that come with the package: the demo's."""
