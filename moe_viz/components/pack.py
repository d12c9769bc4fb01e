"""From a RoutingTrace to what the routing view draws: a compact JSON payload, and its twin as a table for readers without the picture.

Axes: T tokens, K routes per token (expert -1 = none), E experts. Nothing here knows Streamlit.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from moe_viz.records.trace import RoutingTrace

FIRST_EXPERT = 1
"""Number on screen of the expert with index 0."""


def thousandths(values: np.ndarray) -> list[int]:
    """Values of 0 to 1 as whole thousandths, flat, row by row. NaN, which JSON has no word for, becomes -1."""
    values = np.asarray(values, dtype=np.float64).reshape(-1)
    finite = np.isfinite(values)
    return np.where(finite, np.rint(np.where(finite, values, 0) * 1000), -1).astype(int).tolist()


def pack(
    trace: RoutingTrace,
    *,
    images: np.ndarray | None = None,
    points: np.ndarray | None = None,
    dead: Sequence[bool] | None = None,
) -> dict[str, Any]:
    """Payload of one layer, JSON-ready; about 13 kB for 256 tokens and 8 experts.

    images [N, H, W] (grey) or [N, H, W, 3]: one per distinct `trace.sequence`, in order of appearance; uint8, or floats of 0 to 1.
    points [T, 2]: where each token lies in the plane. Only one of the two can be given.
    dead [E]: which experts are dead, as the metrics define it (a single batch cannot tell).
    Flat lists are row-major: `expert`, `weight`, `kept`, `slot` [T*K]; `probs` [T*E]; weights and probabilities in thousandths.
    Raises ValueError where the shapes do not fit the trace.
    """
    n_tokens, n_experts = trace.n_tokens, trace.n_experts
    groups, group_of = _number(trace.group)
    sequences, sequence_of = _number(trace.sequence)
    if dead is not None and len(dead) != n_experts:
        raise ValueError(f"dead has {len(dead)} entries for {n_experts} experts")
    payload = {
        "step": int(trace.step),
        "layer": int(trace.layer),
        "capacity": None if trace.capacity is None else int(trace.capacity),
        "n_tokens": n_tokens,
        "n_experts": n_experts,
        "k": trace.expert.shape[1],
        "first_expert": FIRST_EXPERT,
        "tokens": [str(token) for token in trace.tokens],
        "groups": groups,
        "group": group_of,
        "sequence": sequence_of,
        "position": np.asarray(trace.position).astype(int).tolist(),
        "expert": trace.expert.reshape(-1).astype(int).tolist(),
        "weight": thousandths(trace.weight),
        "kept": trace.kept.reshape(-1).astype(int).tolist(),
        "slot": trace.slot.reshape(-1).astype(int).tolist(),
        "probs": thousandths(trace.probs),
        "dead": None if dead is None else [int(bool(flag)) for flag in dead],
    }
    if images is not None and points is not None:
        raise ValueError("images and points cannot both be given")
    if images is not None:
        payload["images"] = _pack_images(images, len(sequences))
    if points is not None:
        payload["points"] = _pack_points(points, n_tokens)
    return payload


def _number(labels: np.ndarray) -> tuple[list[str], list[int]]:
    """Distinct labels in order of appearance, and each entry's number among them."""
    codes, names = pd.factorize(np.asarray(labels))
    return [str(name) for name in names], codes.tolist()


def _pack_images(images: np.ndarray, n_sequences: int) -> dict[str, Any]:
    images = np.asarray(images)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise ValueError(f"images must be [N, H, W] or [N, H, W, 3], not {list(images.shape)}")
    if len(images) < n_sequences:
        raise ValueError(f"{len(images)} images for {n_sequences} sequences")
    if images.dtype != np.uint8:
        images = np.rint(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)
    pixels = [base64.b64encode(np.ascontiguousarray(image).tobytes()).decode() for image in images[:n_sequences]]
    return {"height": images.shape[1], "width": images.shape[2], "colour": images.ndim == 4, "pixels": pixels}


def _pack_points(points: np.ndarray, n_tokens: int) -> list[int]:
    """Points scaled into the square 0..1000 with one scale for both axes, flat x, y, x, y: distances stay true to each other."""
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (n_tokens, 2):
        raise ValueError(f"points must be [{n_tokens}, 2], not {list(points.shape)}")
    if not n_tokens:
        return []
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    centred = (points - (low + high) / 2) / span + 0.5
    return thousandths(np.stack([centred[:, 0], 1 - centred[:, 1]], axis=1))


def routing_table(trace: RoutingTrace) -> pd.DataFrame:
    """The routing view as a table: one row per token and route, tokens without a route included once.

    Columns: token, group, sequence, position, choice (1 = most weighted), expert (as numbered on screen), probability, weight,
    kept, slot (from 1; missing where there is none). Expert, weight, kept and slot are missing for a token without a route.
    """
    n_tokens, k = trace.expert.shape
    token = np.repeat(np.arange(n_tokens), k)
    choice = np.tile(np.arange(k), n_tokens)
    asked = trace.expert.reshape(-1) >= 0
    without = np.setdiff1d(np.arange(n_tokens), token[asked])
    token, choice = np.concatenate([token[asked], without]), np.concatenate([choice[asked], np.full(len(without), -1)])
    order = np.lexsort((choice, token))
    token, choice = token[order], choice[order]
    routed = choice >= 0

    def route(values: np.ndarray) -> pd.Series:
        taken = values[token, choice] if k else np.zeros(len(token))
        return pd.Series(taken).where(pd.Series(routed))

    expert, slot = route(trace.expert), route(trace.slot)
    probability = trace.probs[token, np.where(routed, expert.fillna(0), 0).astype(int)]
    return pd.DataFrame(
        {
            "token": np.asarray(trace.tokens)[token],
            "group": np.asarray(trace.group)[token],
            "sequence": np.asarray(trace.sequence)[token],
            "position": np.asarray(trace.position)[token],
            "choice": pd.Series(choice + 1).where(pd.Series(routed)).astype("Int64"),
            "expert": (expert + FIRST_EXPERT).astype("Int64"),
            "probability": pd.Series(probability).where(pd.Series(routed)),
            "weight": route(trace.weight).astype("Float64"),
            "kept": route(trace.kept).astype("boolean"),
            "slot": (slot.where(slot >= 0) + 1).astype("Int64"),
        }
    )
