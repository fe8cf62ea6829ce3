"""Train ids: what label maps hold and networks answer."""

IGNORE = 255
"""The train id of pixels that count nowhere, neither in a loss nor in a score; shown black."""
