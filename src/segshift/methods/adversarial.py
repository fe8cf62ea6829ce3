"""Terms that play a binary domain game: AdaptSegNet, AdvEnt, and alignment of features."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from segshift.losses import domain_loss, self_information
from segshift.methods.term import Level, Look, Prediction, Term, TermConfig, trained_feature_channels
from segshift.models.discriminators import FeatureDiscriminator, FullyConvolutionalDiscriminator
from segshift.models.segmenter import Segmenter
from segshift.models.shared_pass import shared_pass
from segshift.ranges import Channels


class AdversarialConfig(TermConfig):
    """What the adversarial terms share.

    Attributes:
        weight: of the segmenter's adversarial loss (lambda_adv).
        base_channels: the discriminator's first width.
    """

    weight: float = Field(0.001, ge=0)
    base_channels: Channels = 64


class OutputAdversarialConfig(AdversarialConfig):
    """Configuration of the terms whose discriminator sees a head's prediction.

    Attributes:
        level: which head: main, or auxiliary (weight 0.0002 in AdaptSegNet and AdvEnt).
    """

    level: Level = "main"


class AdvEntConfig(OutputAdversarialConfig):
    """Configuration of AdvEnt.

    Attributes:
        normalized: divide the self-information by log C, as the public code does.
    """

    term: Literal["advent"] = "advent"
    normalized: bool = False


class AdversarialTerm(Term):
    """The game itself; a subclass says what the discriminator sees.

    The segmenter is told that target maps shall look like source; the discriminator is trained with both
    domains' own names, each loss halved.
    """

    weight: float
    one_pass: ClassVar[bool] = False
    """True promises that in both turns the discriminator sees the same of the target and answers the same: no
    draws, no state. It then runs once for both, which changes no value."""

    def view(self, prediction: Prediction) -> Tensor:
        """(N, K, H, W): what the discriminator sees of a prediction."""
        raise TypeError(f"{type(self).__name__} must define view()")

    def on_target(self, look: Look) -> dict[str, Tensor]:
        """The segmenter's adversarial loss: the target's map called source."""
        return {"adversarial": self.weight * domain_loss(self._judge_target(look), "source")}

    def on_adversary(self, look: Look) -> dict[str, Tensor]:
        """The discriminator's two losses."""
        return {
            "source": 0.5 * domain_loss(self._judge(look.source), "source"),
            "target": 0.5 * domain_loss(self._judge_target_again(look), "target"),
        }

    def _judge(self, prediction: Prediction) -> Tensor:
        assert self.adversary is not None
        logits: Tensor = self.adversary(self.view(prediction))
        return logits

    def _judge_target(self, look: Look) -> Tensor:
        """What the discriminator says of the target, in the segmenter's turn."""
        if not self.one_pass:
            return self._judge(look.target_prediction())
        assert self.adversary is not None
        view = self.view(look.target_prediction())
        logits, look.judgements[self.name] = shared_pass(self.adversary, view)
        return logits

    def _judge_target_again(self, look: Look) -> Tensor:
        """The same in its own turn."""
        kept = look.judgements.pop(self.name, None)
        return self._judge(look.target_prediction()) if kept is None else kept


class OutputAlignment(AdversarialTerm):
    """AdaptSegNet: the discriminator sees softmax maps at the size of the crop.

    Source: Tsai et al., CVPR 2018, equations 1 to 5; multi level = two of these terms.
    """

    Config = OutputAdversarialConfig
    one_pass = True

    def __init__(self, config: OutputAdversarialConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.level: Level = config.level
        self.weight = config.weight
        self.adversary = FullyConvolutionalDiscriminator(len(segmenter.class_names), config.base_channels)

    def view(self, prediction: Prediction) -> Tensor:
        """(N, C, H, W) probabilities."""
        return prediction.probs(self.level)


class AdvEnt(AdversarialTerm):
    """AdvEnt: the discriminator sees weighted self-information maps.

    Source: Vu et al., CVPR 2019, section 3.2 and equation 6.
    """

    Config = AdvEntConfig
    one_pass = True

    def __init__(self, config: AdvEntConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.level: Level = config.level
        self.normalized = config.normalized
        self.weight = config.weight
        self.adversary = FullyConvolutionalDiscriminator(len(segmenter.class_names), config.base_channels)

    def view(self, prediction: Prediction) -> Tensor:
        """(N, C, H, W) self-information."""
        return self_information(prediction.probs(self.level), normalized=self.normalized)


class FeatureAlignment(AdversarialTerm):
    """The same game on the backbone's last features: the baseline of the output-space papers.

    Source: Tsai et al., CVPR 2018, table 1 ("feature").
    """

    Config = AdversarialConfig
    one_pass = True

    def __init__(self, config: AdversarialConfig, segmenter: Segmenter) -> None:
        super().__init__(config, segmenter)
        self.weight = config.weight
        self.adversary = FeatureDiscriminator(trained_feature_channels(segmenter), config.base_channels)

    def view(self, prediction: Prediction) -> Tensor:
        """(N, F, h, w) features."""
        return prediction.features
