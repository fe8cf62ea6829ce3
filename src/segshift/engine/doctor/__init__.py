"""The doctor: runs a method on toy images and says whether it keeps the engine's contract."""

from segshift.engine.doctor.questions import Examination, Finding, examine

__all__ = ["Examination", "Finding", "examine"]
