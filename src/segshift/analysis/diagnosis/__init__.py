"""How far apart two domains are, and which method fits: before any training."""

from segshift.analysis.diagnosis.diagnose import diagnose
from segshift.analysis.diagnosis.separability import SeparabilitySettings, separability
from segshift.analysis.diagnosis.settings import PARTS, DiagnosisSettings

__all__ = ["PARTS", "DiagnosisSettings", "SeparabilitySettings", "diagnose", "separability"]
