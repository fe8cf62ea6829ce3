"""The network of another library, or of one's own, that a configuration names."""

from collections.abc import Sequence

from segshift.models.libraries.hugging_face import transformers_network
from segshift.models.libraries.own import own_network
from segshift.models.libraries.parts import Parts
from segshift.models.libraries.smp import smp_network
from segshift.models.segmenter_config import SegmenterConfig


def foreign_network(config: SegmenterConfig, names: Sequence[str]) -> Parts:
    """Its parts, for classes of these names, with as many classifiers as the configuration asks for."""
    classes, count, settings = len(names), config.classifiers, config.settings
    if config.module is not None:
        return own_network(config.module, classes, count, config.weights, settings)
    assert config.architecture is not None  # the configuration was checked
    if config.library == "smp":
        return smp_network(config.architecture, config.encoder, config.weights, classes, count, settings)
    return transformers_network(config.architecture, config.weights, names, count, settings)
