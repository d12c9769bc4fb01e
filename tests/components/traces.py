"""Routing traces for tests of the views: fixed smooth scores through softmax, top-k and first come, first served. No chance in it."""

from __future__ import annotations

import math

import numpy as np
from sklearn.datasets import load_digits

from moe_viz.records.gate_map import GateMap
from moe_viz.records.trace import RoutingTrace

TEXTS = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience.",
    "Russian": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью.",
    "Python": "def read(path):\n    with open(path) as file:\n        return [line.strip() for line in file if line]\n",
    "numbers": "17.99,10.38,122.8,1001,0.1184,0.2776,0.3001\n20.57,17.77,132.9,1326,0.0847,0.0786,0.0869\n19.69,21.25",
}
MARKUP = [
    "<img src=x onerror=document.title='owned'>",
    "&lt;",
    "<script>document.title='owned'</script>",
    "\n",
    " ",
    "\u202e",
    "\x00",
]
DIGITS = load_digits().images[:32] / 16


def make_points(n_tokens: int) -> np.ndarray:
    """[T, 2] eight rings of points."""
    t = np.arange(n_tokens)
    around, out = 2 * np.pi * (t % 8) / 8, 0.25 * np.sqrt(t / n_tokens)
    return np.stack([np.cos(around) + out * np.cos(t * 2.4), np.sin(around) + out * np.sin(t * 2.4)], axis=1)


def make_trace(
    kind: str = "text",
    *,
    n_tokens: int = 256,
    n_experts: int = 8,
    k: int = 2,
    capacity_factor: float | None = None,
    moment: int = 0,
    skew: float = 1.0,
) -> RoutingTrace:
    """A trace of n_tokens; `moment` shifts the scores, `skew` makes some experts more popular."""
    tokens, group, sequence, position = _tokens(kind, n_tokens)
    code = np.array([sum(map(ord, token)) for token in tokens], dtype=float)
    which = np.unique(group, return_inverse=True)[1]
    e = np.arange(n_experts)
    logits = (
        2.2 * np.sin(0.9 * code[:, None] + 1.7 * e + 0.11 * moment)
        + 1.6 * np.cos(2 * np.pi * (e / n_experts - which[:, None] / 4) + 0.03 * moment)
        + 0.8 * skew * np.cos(2 * np.pi * e / n_experts + 0.07 * moment)
    )
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    k = min(k, n_experts)
    expert = np.argsort(-probs, axis=1, kind="stable")[:, :k]
    weight = np.take_along_axis(probs, expert, 1)
    if k > 1:
        weight = weight / weight.sum(1, keepdims=True)
    capacity = None if capacity_factor is None else max(1, math.ceil(capacity_factor * k * n_tokens / n_experts))
    slot = np.full((n_tokens, k), -1, dtype=np.int32)
    served = np.zeros(n_experts, dtype=int)
    for choice in range(k):
        for t in range(n_tokens):
            slot[t, choice] = served[expert[t, choice]]
            served[expert[t, choice]] += 1
    kept = np.ones((n_tokens, k), dtype=bool) if capacity is None else slot < capacity
    return RoutingTrace(
        step=100 + moment, layer=0, router="topk", capacity=capacity, tokens=tokens, group=group, sequence=sequence, position=position,
        expert=expert.astype(np.int16), weight=weight.astype(np.float32), kept=kept, slot=slot, probs=probs.astype(np.float32),
    )  # fmt: skip


def make_map(moment: int = 0, n_experts: int = 6, resolution: int = 32) -> GateMap:
    """A gate map of sectors around the centre, turned by `moment`."""
    at = (np.arange(resolution) + 0.5) * 2 / resolution - 1
    angle = np.arctan2(at[:, None], at[None, :]) + 0.05 * moment
    logits = 3 * np.cos(angle[..., None] - 2 * np.pi * np.arange(n_experts) / n_experts)
    probs = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    owner, points = probs.argmax(2).astype(np.int16), make_points(40).astype(np.float32) / 2
    return GateMap(
        step=100 + moment, epoch=0, layer=0, router="topk", owner=owner, probs=probs.astype(np.float32), prediction=owner % 2, points=points,
        classes=(np.arange(40) % 2).astype(np.int16), held_out_owner=owner[0, :4], held_out_correct=np.array([True] * 4), batch_dependent=False,
    )  # fmt: skip


def _tokens(kind: str, n: int) -> tuple[np.ndarray, ...]:
    length = 16 if kind == "image" else max(1, n // 8) if kind == "point" else 64
    t = np.arange(n)
    sequence, position = (t // length).astype(np.int32), (t % length).astype(np.int32)
    names = list(TEXTS)
    if kind == "text":
        group = np.array([names[s % 4] for s in sequence])
        tokens = np.array([TEXTS[g][(p + 64 * (s // 4)) % len(TEXTS[g])] for g, p, s in zip(group, position, sequence)])
    elif kind == "markup":
        group = np.array(["<i>group</i>" for _ in t])
        tokens = np.array(MARKUP)[t % len(MARKUP)]
    elif kind == "word":
        words = {name: _pieces(text) for name, text in TEXTS.items()}
        group = np.array([names[s % 4] for s in sequence])
        tokens = np.array([words[g][p % len(words[g])] for g, p in zip(group, position)])
    else:
        group = np.array([f"{'digit' if kind == 'image' else 'cluster'} {s % 10}" for s in sequence])
        tokens = position.astype(str)
    return tokens, group, sequence, position


def _pieces(text: str) -> list[str]:
    pieces: list[str] = []
    for word in text.replace("\n", " \n").split(" "):
        word = " " + word if pieces else word
        pieces += [word[i : i + 5] for i in range(0, len(word), 5)]
    return pieces
