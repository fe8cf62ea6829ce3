"""How far apart two domains are, and which method fits: before any training."""

from segshift.analysis.diagnosis.diagnose import PARTS, DiagnosisSettings, diagnose
from segshift.analysis.diagnosis.separability import SeparabilitySettings, separability

__all__ = ["PARTS", "DiagnosisSettings", "SeparabilitySettings", "diagnose", "separability"]
