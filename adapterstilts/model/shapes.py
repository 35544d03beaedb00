"""What an adapter would look like on a backbone, found out without any weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from adapterstilts.model.backbone import MODEL_TYPE, Backbone, quiet_library
from adapterstilts.model.parts import adapter_mark, marked


@dataclass(frozen=True)
class BackboneShape:
    """The sizes of an encoder on which an adapter's depend.

    Attributes:
        model_type: the architecture's name.
        hidden: width of a state.
        layers: number of transformer layers.
        heads: attention heads a layer.
        intermediate: width inside a feed-forward block.
    """

    hidden: int
    layers: int
    heads: int
    intermediate: int
    model_type: str = MODEL_TYPE


def shape_of(backbone: Backbone) -> BackboneShape:
    """Return the sizes of a backbone."""
    return shape_in(backbone.model.config)


def shape_in(config: Any) -> BackboneShape:
    """Return the sizes in a backbone's configuration."""
    return BackboneShape(
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        intermediate=config.intermediate_size,
        model_type=config.model_type,
    )


def adapter_shapes(shape: BackboneShape, config: Any) -> dict[str, torch.Size]:
    """Return the shapes of an adapter's tensors by name, with ``adapter`` in the place of its name.

    Args:
        shape: of the backbone.
        config: the library's configuration, an object or a dictionary.

    Raises:
        KeyError, ValueError, TypeError, AssertionError, AttributeError: from the library, for a configuration that it
            cannot build.
    """
    # Some tensors get memory and numbers for a moment, which is nothing to the process's generator.
    with torch.device("meta"), torch.random.fork_rng(devices=[]), quiet_library():
        model = skeleton(shape)
        model.add_adapter("adapter", config=config)
    return {name: parameter.shape for name, parameter in marked(model, adapter_mark("adapter")).items()}


def skeleton(shape: BackboneShape) -> Any:
    """Return a model of these sizes with hardly a vocabulary, its tensors on the device that is set."""
    from adapters.models.xlm_roberta.adapter_model import XLMRobertaAdapterModel
    from transformers import XLMRobertaConfig

    sizes: Mapping[str, int] = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "vocab_size": 8,
    }
    return XLMRobertaAdapterModel(XLMRobertaConfig(**sizes))
