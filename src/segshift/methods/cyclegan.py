"""CycleGAN, and CyCADA's semantic consistency: translators between the domains' images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segshift.config import Strict
from segshift.errors import InputError
from segshift.folders import RunFolder
from segshift.losses import cross_entropy, least_squares_loss
from segshift.methods.base import Batch, Method, PreparationData, Update
from segshift.methods.image_history import ImageHistory
from segshift.methods.roles import Network
from segshift.models.resize import upsample
from segshift.models.segmenter import Segmenter
from segshift.models.translators import (
    PatchDiscriminator,
    ResnetGenerator,
    TranslatorConfig,
    save_translator,
    to_signed,
    to_unit,
)
from segshift.ranges import Channels
from segshift.shared_batch import own_part, whole_batch
from segshift.sizes import height_width


class CycleGANConfig(Strict):
    """Configuration of CycleGAN.

    Attributes:
        name: "cyclegan".
        generator: widths and depth of both generators.
        discriminator_channels: of the first convolution of both discriminators.
        cycle_weight: lambda, of the two L1 losses between an image and its way there and back.
        identity_weight: of the two L1 losses between an image and what the generator into its own domain
            makes of it (the paper's option: half of the cycle's weight); 0 leaves them out.
        semantic_weight: of CyCADA's semantic consistency, judged by the frozen segmenter of `init_from`; 0
            leaves it out, and needs no segmenter.
        history: generated images that are kept to be shown to the discriminators again. Micro-batches, and
            processes with a history each, draw from it in another order than one batch does.
    """

    name: Literal["cyclegan"] = "cyclegan"
    generator: TranslatorConfig = TranslatorConfig()
    discriminator_channels: Channels = 64
    cycle_weight: float = Field(10.0, ge=0)
    identity_weight: float = Field(5.0, ge=0)
    semantic_weight: float = Field(0.0, ge=0)
    history: int = Field(50, ge=0, le=10_000)


class CycleGAN(Method):
    r"""Two generators, source to target and back, and a discriminator of real and generated images for each.

    .. math:: L_{G} = \ell(D_t(G_{st}(x_s)), 1) + \ell(D_s(G_{ts}(x_t)), 1)
              + \lambda (|G_{ts}(G_{st}(x_s)) - x_s|_1 + |G_{st}(G_{ts}(x_t)) - x_t|_1)
              + \lambda_{id} (|G_{st}(x_t) - x_t|_1 + |G_{ts}(x_s) - x_s|_1)
              + \lambda_{sem} (CE(f(G_{st}(x_s)), \arg\max f(x_s)) + CE(f(G_{ts}(x_t)), \arg\max f(x_t)))

    with the squared distance l, images in [-1, 1], means over pixels, and the frozen segmenter f.

    Schedule: `generators discriminators`. There is no network to deploy: `save` writes the translator from
    source to target, with which `segshift data translate` makes a data set.

    Source: Zhu et al., Unpaired image-to-image translation (CycleGAN), ICCV 2017, equations 1 to 3 and
    section 5.2 (identity); Hoffman et al., CyCADA, ICML 2018, equation 4 (semantic consistency).
    """

    Config = CycleGANConfig
    why_splits_differ = "discriminators also see images of earlier steps, drawn at random"

    def __init__(self, config: CycleGANConfig, segmenter: Segmenter | None) -> None:
        super().__init__()
        self.config = config
        self.to_target = ResnetGenerator(config.generator)
        self.to_source = ResnetGenerator(config.generator)
        self.target_discriminator = PatchDiscriminator(config.discriminator_channels)
        self.source_discriminator = PatchDiscriminator(config.discriminator_channels)
        self.target_history = ImageHistory(config.history)
        self.source_history = ImageHistory(config.history)
        self.semantics = None if segmenter is None else segmenter.requires_grad_(False).eval()

    @classmethod
    def needs_segmenter(cls, config: Any) -> bool:
        """Only semantic consistency has one."""
        return bool(config.semantic_weight > 0)

    def networks(self) -> dict[str, list[nn.Parameter]]:
        """Both generators in one group, both discriminators in the other."""
        return {
            "generators": Network([*self.to_target.parameters(), *self.to_source.parameters()], "generator"),
            "discriminators": Network(
                [*self.target_discriminator.parameters(), *self.source_discriminator.parameters()],
                "adversary",
            ),
        }

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the frozen segmenter, whose batch norm must not move."""
        super().train(mode)
        if self.semantics is not None:
            self.semantics.eval()
        return self

    def prepare(self, data: PreparationData) -> None:
        """Refuse a judge that knows nothing yet. Raises InputError."""
        if self.semantics is None:
            return
        # A classifier's biases start at 0 and do not stay there.
        biases = [value for name, value in self.semantics.head.named_parameters() if name.endswith("bias")]
        if biases and not any(bool(bias.any()) for bias in biases):
            raise InputError(
                f"method.semantic_weight = {self.config.semantic_weight}: needs a trained segmenter, "
                "and this one is new; set init_from to a run folder, or semantic_weight: 0"
            )

    def step(self, batch: Batch) -> Iterator[Update]:
        """The generators, then the discriminators on what the generators made before they moved."""
        if batch.labelled:
            raise InputError(
                f"{batch.labelled[0].name}: cyclegan translates images and has no use for labels; take it out"
            )
        source, target = to_signed(batch.source_images), to_signed(batch.target_images)
        as_target, as_source = self.to_target(source), self.to_source(target)
        yield Update("generators", self._generator_losses(source, target, as_target, as_source))
        as_target = own_part(self.target_history.exchange(whole_batch(as_target.detach())))
        as_source = own_part(self.source_history.exchange(whole_batch(as_source.detach())))
        yield Update(
            "discriminators",
            {
                "target_real": 0.5 * least_squares_loss(self.target_discriminator(target), real=True),
                "target_fake": 0.5 * least_squares_loss(self.target_discriminator(as_target), real=False),
                "source_real": 0.5 * least_squares_loss(self.source_discriminator(source), real=True),
                "source_fake": 0.5 * least_squares_loss(self.source_discriminator(as_source), real=False),
            },
        )

    def deployed(self) -> Segmenter | None:
        """None: the network in use is a translator."""
        return None

    def save(self, folder: Path) -> None:
        """Write the translator from source to target."""
        save_translator(RunFolder(folder).translator, self.to_target)

    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Each domain's images, their translation, and the way back."""
        shown = {}
        for domain, images, there, back in (
            ("source", batch.source_images, self.to_target, self.to_source),
            ("target", batch.target_images, self.to_source, self.to_target),
        ):
            translated = there.translate(images)
            shown[domain] = images
            shown[f"{domain} translated"] = translated
            shown[f"{domain} there and back"] = back.translate(translated)
        return shown

    def _generator_losses(
        self, source: Tensor, target: Tensor, as_target: Tensor, as_source: Tensor
    ) -> dict[str, Tensor]:
        config = self.config
        losses = {
            "source_to_target": least_squares_loss(self.target_discriminator(as_target), real=True),
            "target_to_source": least_squares_loss(self.source_discriminator(as_source), real=True),
            "source_cycle": config.cycle_weight * _l1(self.to_source(as_target), source),
            "target_cycle": config.cycle_weight * _l1(self.to_target(as_source), target),
        }
        if config.identity_weight > 0:
            losses["source_identity"] = config.identity_weight * _l1(self.to_source(source), source)
            losses["target_identity"] = config.identity_weight * _l1(self.to_target(target), target)
        if self.semantics is not None:
            for name, images, translated in (
                ("source_semantics", source, as_target),
                ("target_semantics", target, as_source),
            ):
                losses[name] = config.semantic_weight * self._semantics(self.semantics, images, translated)
        return losses

    def _semantics(self, segmenter: Segmenter, images: Tensor, translated: Tensor) -> Tensor:
        """Cross-entropy of the segmenter on translated images against its own choice on the originals."""
        size = height_width(images)
        with torch.no_grad():
            labels = upsample(segmenter(segmenter.normalize(to_unit(images))).logits, size).argmax(dim=1)
        logits = segmenter(segmenter.normalize(to_unit(translated))).logits
        return cross_entropy(upsample(logits, size), labels)


def _l1(made: Tensor, images: Tensor) -> Tensor:
    return F.l1_loss(made.float(), images)
