"""Analyses of trained segmenters and the pages that show them."""
