"""Describing a folder of images: what lies there, what belongs together, what the labels mean, as a YAML."""
