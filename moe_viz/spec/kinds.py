"""The kinds of runs there are, and which of them a flat config is one of."""

from __future__ import annotations

from typing import Any

from moe_viz.spec.config import Config
from moe_viz.spec.mixture import MixtureConfig
from moe_viz.spec.run import RunConfig

KINDS: dict[str, type[Config]] = {kind.kind: kind for kind in (RunConfig, MixtureConfig)}


def kind_of(values: dict[str, Any]) -> type[Config]:
    """What these flat words are the config of."""
    return MixtureConfig if MixtureConfig.SOURCE in values else RunConfig


def config_of(values: dict[str, Any]) -> Config:
    """The config of a flat form, whatever its kind. Raises ValueError on an unknown word or a bad value."""
    return kind_of(values).from_flat(values)
