"""Trained networks as files for other programs: written, compared with the network, described."""

from segshift.export.export import export
from segshift.export.settings import Exported, ExportSettings

__all__ = ["ExportSettings", "Exported", "export"]
