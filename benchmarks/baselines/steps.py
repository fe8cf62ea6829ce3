"""Training steps as the papers' public codes write them: plain PyTorch, one backward call after the other.

Shape of those codes: float32, NCHW, discriminators frozen and unfrozen by `requires_grad`, a backward call
per loss, predictions up-sampled to the crop and soft-maxed once for the segmenter and again for the
discriminator, and all optimizers stepped at the end (FADA and LSD: turn by turn). The networks are copies of
ours, so that both compute the same thing: `training_steps.py` checks that the first step's losses are equal.
"""

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from baselines.lsd_step import lsd
from torch import Tensor, nn
from torch.optim import SGD, Adam

from segshift.methods import Align, Batch, Method
from segshift.methods.clan import Clan
from segshift.methods.fada import FADA
from segshift.methods.mean_teacher import MeanTeacher, class_mix

Losses = dict[str, float]
Step = Callable[[Batch], Losses]


def up(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the size of the images or labels."""
    size = [int(side) for side in like.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def bce(logits: Tensor, label: float) -> Tensor:
    """Of a discriminator's answers with one domain's number."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def freeze(networks: Iterable[nn.Module], frozen: bool) -> None:
    """`requires_grad` of all parameters."""
    for network in networks:
        for parameter in network.parameters():
            parameter.requires_grad = not frozen


def sgd(segmenter: nn.Module) -> SGD:
    """DeepLab-v2's: the classifiers have ten times the rate."""
    backbone, heads = [], []
    for name, parameter in segmenter.named_parameters():
        if parameter.requires_grad:
            (backbone if name.startswith("backbone.") else heads).append(parameter)
    groups = [{"params": backbone, "lr": 2.5e-4}, {"params": heads, "lr": 2.5e-3}]
    return SGD(groups, lr=2.5e-4, momentum=0.9, weight_decay=5e-4)


def source_only(method: Align) -> Step:
    """Cross-entropy of every head on the source."""
    segmenter, optimizer = method.segmenter, sgd(method.segmenter)
    weight = method.auxiliary_weight

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        losses = _supervised(segmenter, batch, weight)
        optimizer.step()
        return losses

    return step


def _supervised(segmenter: nn.Module, batch: Batch, auxiliary_weight: float) -> Losses:
    """Forward and backward on the source."""
    output = segmenter(segmenter.normalize(batch.source_images))
    main = F.cross_entropy(up(output.logits, batch.source_labels), batch.source_labels, ignore_index=255)
    loss, losses = main, {"segmenter/supervised": main.item()}
    if output.auxiliary_logits is not None:
        logits = up(output.auxiliary_logits, batch.source_labels)
        auxiliary = auxiliary_weight * F.cross_entropy(logits, batch.source_labels, ignore_index=255)
        loss, losses["segmenter/supervised_auxiliary"] = loss + auxiliary, auxiliary.item()
    loss.backward()
    return losses


def _entropies(probabilities: Tensor) -> Tensor:
    return -probabilities * torch.log(probabilities + 1e-30)


def output_games(method: Align, entropy: bool) -> Step:
    """AdaptSegNet and AdvEnt on two levels."""
    segmenter, terms = method.segmenter, list(method.terms)
    discriminators = [term.adversary for term in terms]
    optimizer = sgd(segmenter)
    optimizers = [Adam(one.parameters(), lr=1e-4, betas=(0.9, 0.99)) for one in discriminators]

    def seen(logits: Tensor, images: Tensor) -> Tensor:
        probabilities = F.softmax(up(logits, images), dim=1)
        return _entropies(probabilities) if entropy else probabilities

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        for one in optimizers:
            one.zero_grad()
        freeze(discriminators, True)
        source = segmenter(segmenter.normalize(batch.source_images))
        main = F.cross_entropy(up(source.logits, batch.source_labels), batch.source_labels, ignore_index=255)
        auxiliary = method.auxiliary_weight * F.cross_entropy(
            up(source.auxiliary_logits, batch.source_labels), batch.source_labels, ignore_index=255
        )
        (main + auxiliary).backward()
        losses = {"segmenter/supervised": main.item(), "segmenter/supervised_auxiliary": auxiliary.item()}
        target = segmenter(segmenter.normalize(batch.target_images))
        by_level = {"main": target.logits, "auxiliary": target.auxiliary_logits}
        adversarial = torch.zeros(())
        for term, discriminator in zip(terms, discriminators, strict=True):
            judged = discriminator(seen(by_level[term.level], batch.target_images))
            loss = term.weight * bce(judged, 0)
            adversarial = adversarial + loss
            losses[f"segmenter/{term.name}_adversarial"] = loss.item()
        adversarial.backward()
        freeze(discriminators, False)
        for domain, label, output, images in (
            ("source", 0, source, batch.source_images),
            ("target", 1, target, batch.target_images),
        ):
            levels = {"main": output.logits, "auxiliary": output.auxiliary_logits}
            for term, discriminator in zip(terms, discriminators, strict=True):
                judged = discriminator(seen(levels[term.level].detach(), images))
                loss = bce(judged, label) / 2
                loss.backward()
                losses[f"{term.name}/{domain}"] = loss.item()
        optimizer.step()
        for one in optimizers:
            one.step()
        return losses

    return step


def clan(method: Align) -> Step:
    """CLAN with the paper's losses."""
    segmenter, term = method.segmenter, method.terms[0]
    assert isinstance(term, Clan) and term.adversary is not None
    discriminator, config = term.adversary, term.config
    optimizer = sgd(segmenter)
    other = Adam(discriminator.parameters(), lr=5e-5, betas=(0.9, 0.99), weight_decay=5e-4)

    def weights(head: nn.Module) -> Tensor:
        return torch.cat([p.view(-1) for name, p in head.named_parameters() if name.endswith("weight")])

    def weighted(judged: Tensor, label: float, disagreement: Tensor) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(judged, torch.full_like(judged, label), reduction="none")
        return ((config.local_weight * disagreement + config.epsilon) * losses).mean()

    def look(images: Tensor) -> tuple[Tensor, Tensor]:
        first, second = segmenter(segmenter.normalize(images)).head_logits
        return up(first, images), up(second, images)

    def disagreement_of(first: Tensor, second: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(F.softmax(first, 1), F.softmax(second, 1), dim=1)[:, None]

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        other.zero_grad()
        freeze([discriminator], True)
        source = look(batch.source_images)
        supervised = F.cross_entropy(source[0] + source[1], batch.source_labels, ignore_index=255)
        assert segmenter.second_head is not None
        similarity = config.similarity_weight * F.cosine_similarity(
            weights(segmenter.head), weights(segmenter.second_head), dim=0
        )
        (supervised + similarity).backward()
        target = look(batch.target_images)
        judged = up(discriminator(F.softmax(target[0] + target[1], dim=1)), batch.target_images)
        adversarial = term.weight * weighted(judged, 0, disagreement_of(*target))
        adversarial.backward()
        freeze([discriminator], False)
        judged = discriminator(F.softmax((source[0] + source[1]).detach(), dim=1))
        on_source = bce(up(judged, batch.source_images), 0)
        on_source.backward()
        first, second = target[0].detach(), target[1].detach()
        judged = up(discriminator(F.softmax(first + second, dim=1)), batch.target_images)
        on_target = weighted(judged, 1, disagreement_of(first, second))
        on_target.backward()
        optimizer.step()
        other.step()
        return {
            "segmenter/supervised": supervised.item(),
            "segmenter/clan_similarity": similarity.item(),
            "segmenter/clan_adversarial": adversarial.item(),
            "clan/source": on_source.item(),
            "clan/target": on_target.item(),
        }

    return step


def fada(method: Align) -> Step:
    """FADA; its code does not freeze the discriminator, whose gradients of the segmenter's turn it drops."""
    segmenter, term = method.segmenter, method.terms[0]
    assert isinstance(term, FADA) and term.adversary is not None
    discriminator, config = term.adversary, term.config
    optimizer = sgd(segmenter)
    other = Adam(discriminator.parameters(), lr=1e-4, betas=(0.9, 0.99))

    def soft(logits: Tensor) -> Tensor:
        labels = F.softmax(logits.detach() / config.temperature, dim=1)
        labels[labels > config.clip] = config.clip
        return labels

    def loss_of(features: Tensor, labels: Tensor, target: bool) -> Tensor:
        judged = up(discriminator(features), labels)
        nothing = torch.zeros_like(labels)
        encoding = torch.cat((nothing, labels) if target else (labels, nothing), dim=1)
        return -(encoding * F.log_softmax(judged, dim=1)).sum(dim=1).mean()

    def step(batch: Batch) -> Losses:
        optimizer.zero_grad()
        other.zero_grad()
        source = segmenter(segmenter.normalize(batch.source_images))
        source_logits = up(source.logits, batch.source_images)
        supervised = F.cross_entropy(source_logits, batch.source_labels, ignore_index=255)
        supervised.backward()
        target = segmenter(segmenter.normalize(batch.target_images))
        target_labels = soft(up(target.logits, batch.target_images))
        adversarial = config.weight * loss_of(target.features, target_labels, target=False)
        adversarial.backward()
        optimizer.step()
        other.zero_grad()
        on_source = 0.5 * loss_of(source.features.detach(), soft(source_logits), target=False)
        on_source.backward()
        on_target = 0.5 * loss_of(target.features.detach(), target_labels, target=True)
        on_target.backward()
        other.step()
        return {
            "segmenter/supervised": supervised.item(),
            "segmenter/fada_adversarial": adversarial.item(),
            "fada/source": on_source.item(),
            "fada/target": on_target.item(),
        }

    return step


def mean_teacher(method: Align) -> Step:
    """DACS, as DAFormer orders it: a backward call for the source, one for the mixed images, the teacher."""
    segmenter, term = method.segmenter, method.terms[0]
    assert isinstance(term, MeanTeacher)
    teacher, config = term.teacher, term.config
    optimizer = sgd(segmenter)

    def step(batch: Batch) -> Losses:
        if batch.step == 0:
            teacher.load_state_dict(segmenter.state_dict())
        optimizer.zero_grad()
        losses = _supervised(segmenter, batch, method.auxiliary_weight)
        with torch.no_grad():
            logits = up(teacher(teacher.normalize(batch.target_images)).logits, batch.target_images)
            confidence, labels = torch.max(torch.softmax(logits, dim=1), dim=1)
            share = (confidence > config.confidence).float().mean(dim=(1, 2), keepdim=True)
            weights = share.expand_as(confidence)
        images, labels, weights = class_mix(
            batch.source_images, batch.source_labels, batch.target_images, labels, weights
        )
        logits = up(segmenter(segmenter.normalize(images)).logits, images)
        pixels = F.cross_entropy(logits, labels, ignore_index=255, reduction="none")
        mixed = config.weight * (pixels * weights).sum() / (labels != 255).sum()
        mixed.backward()
        optimizer.step()
        decay = min(1 - 1 / (batch.step + 1), config.ema_decay)
        for mine, theirs in zip(teacher.parameters(), segmenter.parameters(), strict=True):
            mine.data = decay * mine.data + (1 - decay) * theirs.data
        return {**losses, "segmenter/mean_teacher_mixed": mixed.item()}

    return step


def step_of(name: str, method: Method) -> Step:
    """The plain step of a method, which trains the networks of `method`."""
    makers: dict[str, Callable[..., Step]] = {
        "source_only": source_only,
        "adaptsegnet": lambda of: output_games(of, entropy=False),
        "advent": lambda of: output_games(of, entropy=True),
        "clan": clan,
        "fada": fada,
        "mean_teacher": mean_teacher,
        "lsd": lsd,
    }
    return makers[name](method)
