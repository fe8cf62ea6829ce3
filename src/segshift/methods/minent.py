"""MinEnt: make the target's predictions confident by minimising their entropy."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from segshift.losses import entropy_loss, ranked_entropy_loss
from segshift.methods.term import Level, Look, Term, TermConfig
from segshift.models.segmenter import Segmenter


class MinEntConfig(TermConfig):
    """Configuration of MinEnt.

    Attributes:
        weight: of the entropy (lambda_ent: 0.001 main, 0.0002 auxiliary).
        level: which head's prediction.
        highest_share: of each image's pixels, those of the highest entropy, that count; 0.3 is the paper's
            "MinEnt + ER", which its public code does not have.
    """

    term: Literal["minent"] = "minent"
    weight: float = Field(0.001, ge=0)
    level: Level = "main"
    highest_share: float = Field(1.0, gt=0, le=1)


class MinEnt(Term):
    """Direct entropy minimisation. Source: Vu et al., CVPR 2019, section 3.1, equations 3 and 4."""

    Config = MinEntConfig
    needs_source = False

    def __init__(self, config: MinEntConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.weight = config.weight
        self.level: Level = config.level
        self.highest_share = config.highest_share

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The weighted, normalised entropy of the target's prediction."""
        probs = look.target_prediction().probs(self.level)
        share = self.highest_share
        entropy = entropy_loss(probs) if share == 1 else ranked_entropy_loss(probs, share)
        return {"entropy": self.weight * entropy}
