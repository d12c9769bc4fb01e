"""Rows that are no tokens: a batch with a mask is routed as the batch of its real tokens, and the record is laid out over all rows.

Nothing of a router need know of masks: draws, groups, capacities, losses and state are those of the batch without the padded rows.
Axes as in routing.py; N real tokens among T rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from moe_viz.moe.routing import Padding, Routing, SparseRouting

OF_TOKENS = ("logits", "probs", "residual_mix", "dispatch", "combine")
"""Fields of a routing with one row a token."""
INFO_OF_TOKENS = ("alpha", "baseline", "expert_share")
"""Display values with one entry a token."""


def real_rows(mask: object, n_rows: int, token_ids: Tensor | None = None) -> Tensor:
    """[N] int64 the rows that are real tokens. The host learns their number, so on an accelerator it waits once.

    Raises ValueError where the mask is not bool, or mask or token_ids have not one entry for each row.
    """
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (n_rows,):
        got = f"{mask.dtype} of shape {list(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"mask is a bool tensor of shape [{n_rows}], True for each row that is a real token; got {got}"
        )
    if token_ids is not None and token_ids.numel() != n_rows:
        raise ValueError(f"token_ids has {token_ids.numel()} entries for {n_rows} rows; padded rows have one too")
    return mask.nonzero().squeeze(-1)


def with_padding(real: Routing, mask: Tensor, rows: Tensor) -> Routing:
    """The routing of N real tokens as that of T rows: a padded row has no route, and zeros wherever there is a row for it.

    Counts, capacity and loss terms stay what they are. `unpadded` of the result is `real`.
    """
    padding = Padding(mask, rows, real)
    changed: dict[str, Any] = {
        name: padding.put_back(value) for name in OF_TOKENS if (value := getattr(real, name, None)) is not None
    }
    changed["info"] = {
        name: padding.put_back(value) if name in INFO_OF_TOKENS else value for name, value in real.info.items()
    }
    if isinstance(real, SparseRouting):
        changed |= {"route_token": rows[real.route_token], "per_token": None}
    return replace(real, **changed, padding=padding)
