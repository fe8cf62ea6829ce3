"""Trained networks as files for other programs: written, compared with the network, described."""

from segshift.export.export import Exported, ExportSettings, export

__all__ = ["ExportSettings", "Exported", "export"]
