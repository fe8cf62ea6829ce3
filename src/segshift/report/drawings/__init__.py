"""Pictures in files: PNG and SVG charts, and strips of images."""
