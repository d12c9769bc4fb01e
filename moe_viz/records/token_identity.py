"""How much of a router's choice is already in the token itself, and what a learned router adds to a random one.

A routing that follows the token id alone also "knows" the domain, because domains use different tokens. These numbers keep apart
what the token gives away, what the router makes of the context, and what it has learned. Axes: T tokens, E experts, D domains.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from moe_viz.records.metrics import entropy
from moe_viz.records.numbers import number
from moe_viz.records.specialisation import first_choice, membership
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Sentence

SHUFFLES = 16
NEXT_TO_NOTHING = 0.02
"""Domain information above chance that is not worth a story."""
MOSTLY = 0.25
"""Part of the information above chance that learning must add before it is called learned."""


@dataclass(frozen=True)
class Predictability:
    """How often a token's first expert is guessed right. by_token: the favourite of its id in *other* sequences;  by_load: always the busiest
    expert of the others;  covered: part of the tokens whose id the others contain (only these are counted)."""

    by_token: float
    by_load: float
    covered: float


def predictability(trace: RoutingTrace) -> Predictability:
    """Guess the first choices of each half of the sequences from the other half; NaN where a domain has only one sequence.

    Counting on the guessed tokens themselves would call every rare token predictable.
    """
    first, half = first_choice(trace), _halves(trace)
    if half is None or not (first >= 0).any():
        return Predictability(np.nan, np.nan, 0.0)
    ids = np.unique(trace.tokens.astype(str), return_inverse=True)[1]
    right = by_load = counted = 0
    for side in (0, 1):
        seen, asked = (first >= 0) & (half != side), (first >= 0) & (half == side)
        counts = np.zeros((ids.max() + 1, trace.n_experts), np.int64)
        np.add.at(counts, (ids[seen], first[seen]), 1)
        known = asked & (counts.sum(1)[ids] > 0)
        right += int((counts.argmax(1)[ids[known]] == first[known]).sum())
        by_load += int((counts.sum(0).argmax() == first[known]).sum())
        counted += int(known.sum())
    if not counted:
        return Predictability(np.nan, np.nan, 0.0)
    return Predictability(right / counted, by_load / counted, counted / int((first >= 0).sum()))


def information_beyond_token(trace: RoutingTrace) -> float:
    """I(expert; domain | token id) / H(domain) over the routes asked for: what routing tells about the domain beyond the token itself.

    NaN with fewer than two domains. A finite batch gives a good deal by chance: compare with `information_beyond_token_null`.
    """
    return _beyond(trace, _domains(trace))


def information_beyond_token_null(trace: RoutingTrace, n_shuffles: int = SHUFFLES, seed: int = 0) -> np.ndarray:
    """[n_shuffles] the same with the domains shuffled among the tokens of each id: what chance gives for this batch."""
    rng, ids, domain = np.random.default_rng(seed), _ids(trace), _domains(trace)
    by_id = np.argsort(ids, kind="stable")
    values = []
    for _ in range(n_shuffles):
        shuffled = np.empty_like(domain)
        shuffled[by_id] = domain[np.lexsort((rng.random(len(ids)), ids))]
        values.append(_beyond(trace, shuffled))
    return np.array(values)


_BYTE = re.compile(r"(<[0-9a-f]{2}>)")


def shuffled_tokens(trace: RoutingTrace, seed: int = 0) -> RoutingTrace:
    """The trace with its token ids permuted: any vocabulary specialisation left in it is chance."""
    return replace(trace, tokens=np.random.default_rng(seed).permutation(trace.tokens))


def readable(name: str, translate: Callable[[str], str] = str) -> str:
    """A token's name for people: a byte that is no letter by itself (`<d1>`, half of one) is said to be one; a space can be seen."""
    pieces = [piece for piece in _BYTE.split(name) if piece]
    byte = translate(N_("byte {code}"))
    names = [byte.replace("{code}", piece[1:3].upper()) if _BYTE.fullmatch(piece) else piece for piece in pieces]
    return "+".join(names) if name != " " else "␣"


def verdict(learned: float, frozen: float, chance: float) -> Sentence:
    """What follows from the domain information of a learned router, of one that stayed random, and of shuffled labels (their mean)."""
    gain, above = learned - frozen, learned - chance
    shares = {
        name: number(value, ".2f") for name, value in (("learned", learned), ("frozen", frozen), ("chance", chance))
    }
    shares["gain"] = number(gain, "+.2f")
    if above < NEXT_TO_NOTHING:
        end = N_(
            "Domain information {learned} learned, {frozen} frozen, {chance} by chance. These experts tell next to nothing about the domain."
        )
    elif gain < MOSTLY * above:
        end = N_(
            "Domain information {learned} learned, {frozen} frozen: learned − frozen = {gain} (chance gives {chance}). "
            "A router that never learned tells as much, or nearly: this specialisation comes from the tokens, not from the router's learning."
        )
    else:
        end = N_(
            "Domain information {learned} learned, {frozen} frozen: learned − frozen = {gain} (chance gives {chance}). "
            "So much is the router's learning, in this one pair of runs; the rest was there without it."
        )
    return Sentence(end, **shares)


def _beyond(trace: RoutingTrace, domain: np.ndarray) -> float:
    token, expert = np.nonzero(membership(trace))
    here, ids = domain[token], _ids(trace)[token]
    total = _entropy_of(here)
    if not len(token) or total <= 0:
        return float("nan")
    conditional = _entropy_of(ids, here) + _entropy_of(ids, expert) - _entropy_of(ids) - _entropy_of(ids, here, expert)
    return float(max(conditional, 0.0) / total)


def _entropy_of(*columns: np.ndarray) -> float:
    """Entropy in nats of the joint distribution of integer columns."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        code = code * (int(column.max(initial=0)) + 1) + column
    counts = np.unique(code, return_counts=True)[1]
    return float(entropy(counts / max(counts.sum(), 1)))


def _ids(trace: RoutingTrace) -> np.ndarray:
    return np.unique(trace.tokens.astype(str), return_inverse=True)[1]


def _domains(trace: RoutingTrace) -> np.ndarray:
    return np.unique(trace.group.astype(str), return_inverse=True)[1]


def _halves(trace: RoutingTrace) -> np.ndarray | None:
    """[T] 0 or 1: the sequences of each domain in turn; None where a domain has only one."""
    sequences, start, member = np.unique(trace.sequence, return_index=True, return_inverse=True)
    groups, side = trace.group[start].astype(str), np.zeros(len(sequences), np.int64)
    for domain in np.unique(groups):
        mine = np.flatnonzero(groups == domain)
        if len(mine) < 2:
            return None
        side[mine] = np.arange(len(mine)) % 2
    return side[member]
