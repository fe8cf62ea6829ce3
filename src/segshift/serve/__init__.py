"""Trained networks as a web page and an HTTP API on this machine (`segshift serve`)."""
