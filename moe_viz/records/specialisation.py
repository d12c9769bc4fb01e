"""What experts specialise in and how routing changes: domain, vocabulary, saturation, fluctuation, co-activation, paths.

Axes: T tokens, K routes per token, E experts, D domains. Each claim comes with what chance alone would give (`k/E`, a shuffle null,
independence), because structure in the data looks like a decision of the router.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from moe_viz.records.metrics import entropy, requested_counts
from moe_viz.records.trace import RoutingTrace

MIN_OCCURRENCES = 10
"""Token ids rarer than this say too little about a favourite expert."""
SHUFFLES = 32
SEQUENCES_PER_DOMAIN = 4


def membership(trace: RoutingTrace) -> np.ndarray:
    """[T, E] bool: the expert is among the token's choices (asked for, whether or not it found a slot)."""
    chosen = np.zeros((trace.n_tokens, trace.n_experts), bool)
    token, route = np.nonzero(trace.expert >= 0)
    chosen[token, trace.expert[token, route]] = True
    return chosen


def first_choice(trace: RoutingTrace) -> np.ndarray:
    """[T] the most weighted expert asked for, -1 = none."""
    return trace.expert[:, 0].astype(np.int64) if trace.expert.shape[1] else np.full(trace.n_tokens, -1)


def first_kept(trace: RoutingTrace) -> np.ndarray:
    """[T] the most weighted expert that really computed the token, -1 = none did."""
    if not trace.expert.shape[1]:
        return np.full(trace.n_tokens, -1)
    best = np.argmax(trace.kept, axis=1)
    expert = trace.expert[np.arange(trace.n_tokens), best]
    return np.where(trace.kept.any(1), expert, -1).astype(np.int64)


def domain_specialisation(trace: RoutingTrace) -> pd.DataFrame:
    """N(E_i, D) / N_D, experts as rows and domains as columns: part of the domain's tokens that choose the expert.

    Each column sums to k; chance is k/E (OLMoE, Muennighoff et al. 2024, section 5).
    """
    chosen = membership(trace)
    domains = sorted(set(trace.group))
    shares = {domain: chosen[trace.group == domain].mean(0) for domain in domains}
    return pd.DataFrame(shares, index=pd.RangeIndex(trace.n_experts, name="expert"))


def domain_specialisation_null(trace: RoutingTrace, n_shuffles: int = SHUFFLES, seed: int = 0) -> np.ndarray:
    """[n_shuffles, E, D] the same table with shuffled labels (see `shuffled_labels`): the range that chance alone gives."""
    rng = np.random.default_rng(seed)
    shuffles = (replace(trace, group=_shuffled(trace, trace.group, rng)) for _ in range(n_shuffles))
    return np.stack([domain_specialisation(shuffled).to_numpy() for shuffled in shuffles])


def domain_information(trace: RoutingTrace) -> float:
    """I(expert; domain) / H(domain) over the routes asked for: 0 = experts say nothing about the domain, 1 = they give it away.

    NaN with fewer than two domains. A finite batch gives more than 0 by chance alone: compare with `domain_information_null`.
    """
    domains, which = np.unique(trace.group.astype(str), return_inverse=True)
    return _information(membership(trace), which, len(domains))


def domain_information_null(trace: RoutingTrace, n_shuffles: int = SHUFFLES, seed: int = 0) -> np.ndarray:
    """[n_shuffles] the same number with shuffled labels: what chance gives for this batch.

    Whole sequences swap labels where there are enough of them, tokens otherwise (`shuffles_sequences`). The permutations come from
    `seed`: the same trace gives the same null.
    """
    domains, which = np.unique(trace.group.astype(str), return_inverse=True)
    chosen, rng = membership(trace), np.random.default_rng(seed)
    return np.array([_information(chosen, _shuffled(trace, which, rng), len(domains)) for _ in range(n_shuffles)])


def place_information(trace: RoutingTrace) -> float:
    """Domain information with a token's place in its sequence or image as the label."""
    return domain_information(replace(trace, group=trace.position.astype(str)))


def share_to(trace: RoutingTrace, expert: int) -> float:
    """Part of the tokens whose first choice is the expert; NaN where there are none."""
    return float((first_choice(trace) == expert).mean()) if trace.n_tokens else float("nan")


def routes_changed_before(before: Sequence[RoutingTrace], after: Sequence[RoutingTrace], place: int) -> float | None:
    """Share of the first `place` tokens whose experts or kept flags differ in any layer; None where there are no such tokens.

    before, after: one trace per layer of a text, and of the same text edited from `place` on.
    """
    if place < 1:
        return None
    changed = np.zeros(place, bool)
    for one, other in zip(before, after, strict=True):
        for token in range(place):
            changed[token] |= _routes_of(one, token) != _routes_of(other, token)
    return float(changed.mean())


def _routes_of(trace: RoutingTrace, token: int) -> set[tuple[int, bool]]:
    """(expert, kept) of each route of a token, in no order: near ties of the weights are no change."""
    return {(int(e), bool(kept)) for e, kept in zip(trace.expert[token], trace.kept[token]) if e >= 0}


def shuffled_labels(trace: RoutingTrace, seed: int = 0) -> RoutingTrace:
    """The trace with its domain labels permuted as in `domain_information_null`: any specialisation left in it is chance."""
    return replace(trace, group=_shuffled(trace, trace.group, np.random.default_rng(seed)))


def vocabulary_specialisation(trace: RoutingTrace, min_occurrences: int = MIN_OCCURRENCES) -> pd.DataFrame:
    """One row per token id with enough occurrences: `token`, `count`, its most frequent first-choice `expert`, and that expert's `share`.

    (OLMoE with k = 1.) The mean share per expert is `table.groupby("expert")["share"].mean()`: an expert that is nobody's favourite has none.
    """
    first = first_choice(trace)
    routed = first >= 0
    names, which = np.unique(trace.tokens[routed].astype(str), return_inverse=True)
    counts = np.zeros((len(names), trace.n_experts), np.int64)
    np.add.at(counts, (which, first[routed]), 1)
    total = counts.sum(1)
    often = total >= min_occurrences
    table = {
        "token": names[often],
        "count": total[often],
        "expert": counts[often].argmax(1),
        "share": counts[often].max(1, initial=0) / total[often],
    }
    return pd.DataFrame(table).sort_values(["share", "count"], ascending=False, ignore_index=True)


def saturation(then: RoutingTrace, now: RoutingTrace) -> float:
    """mean_t |S_t(then) & S_t(now)| / |S_t(now)|: part of today's choices that were made already (OLMoE). Tokens without a choice now are left out."""
    _same_batch(then, now)
    before, after = membership(then), membership(now)
    chosen = after.sum(1)
    routed = chosen > 0
    return float(((before & after).sum(1)[routed] / chosen[routed]).mean()) if routed.any() else float("nan")


def moved(then: RoutingTrace, now: RoutingTrace) -> np.ndarray:
    """[T] bool: the token's first choice differs between two moments (or two runs) of the same batch."""
    _same_batch(then, now)
    return first_choice(then) != first_choice(now)


def last_change(choices: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """[T] last step at which the token's expert was not its present one; NaN where it never was another.

    choices [S, T] first choices at S rising `steps`; the last row is the present (StableMoE, Dai et al. 2022).
    """
    choices, at = np.asarray(choices), np.asarray(steps, float)
    other = choices != choices[-1]
    last = len(at) - 1 - np.argmax(other[::-1], axis=0)
    return np.where(other.any(0), at[last], np.nan)


def fluctuation(choices: np.ndarray, steps: Sequence[int]) -> pd.DataFrame:
    """Cumulative distribution of `last_change`: at each step, the share of tokens that have stayed with one expert ever since."""
    last = np.nan_to_num(last_change(choices, steps), nan=-np.inf)
    settled = [(last < step).mean() if len(last) else np.nan for step in steps]
    return pd.DataFrame({"step": list(steps), "settled": settled})


def co_activation(trace: RoutingTrace) -> np.ndarray:
    """[E, E] N(i, j) / N(i) over *all* pairs of a token's choices, whatever their ranks; the diagonal is NaN, as are rows of unused experts.

    Each row sums to k - 1. (Counting only consecutive ranks would miss first-with-third pairs for k > 2.)
    """
    chosen = membership(trace).astype(float)
    pairs, used = chosen.T @ chosen, chosen.sum(0)
    table = np.divide(pairs, used[:, None], out=np.full(pairs.shape, np.nan), where=used[:, None] > 0)
    np.fill_diagonal(table, np.nan)
    return table


def co_activation_if_independent(trace: RoutingTrace) -> np.ndarray:
    """[E, E] what `co_activation` would be if a token's other choices fell on experts by their load alone: r_i n_j / sum_{m != i} n_m.

    r_i is the mean number of further choices of tokens that chose i (k - 1 for top-k), so that rows agree with the observed ones.
    """
    chosen = membership(trace).astype(float)
    used, per_token = chosen.sum(0), chosen.sum(1)
    others = used.sum() - used
    further = np.divide(chosen.T @ (per_token - 1), used, out=np.full(len(used), np.nan), where=used > 0)
    ratio = np.divide(used[None, :], others[:, None], out=np.full((len(used),) * 2, 0.0), where=others[:, None] > 0)
    table = further[:, None] * ratio
    np.fill_diagonal(table, np.nan)
    return table


def path_counts(here: RoutingTrace, above: RoutingTrace) -> np.ndarray:
    """[E + 1, E' + 1] tokens by the expert that computed them in one layer and in a later one; the last row and column: no expert."""
    _same_batch(here, above)
    counts = np.zeros((here.n_experts + 1, above.n_experts + 1), np.int64)
    np.add.at(counts, (first_kept(here), first_kept(above)), 1)  # -1 lands in the last row or column
    return counts


def paths(here: RoutingTrace, above: RoutingTrace) -> np.ndarray:
    """[E, E'] P(expert in the later layer | expert in this one), tokens without an expert left out; NaN rows where an expert has no tokens."""
    counts = path_counts(here, above)[:-1, :-1].astype(float)
    total = counts.sum(1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def relative_load(traces: Sequence[RoutingTrace]) -> pd.DataFrame:
    """One row per layer and expert: `routes`, `share`, `log2` of E * share (0 = fair, +1 = twice as much; NaN where never routed), `routed`."""
    rows = []
    for trace in traces:
        counts = requested_counts(trace)
        total = counts.sum()
        for expert, count in enumerate(counts):
            share = count / total if total else np.nan
            times = np.log2(share * len(counts)) if count else np.nan
            rows.append({"layer": trace.layer, "expert": expert, "routes": int(count), "share": share, "log2": times})
    return pd.DataFrame(rows, columns=["layer", "expert", "routes", "share", "log2"]).assign(
        routed=lambda t: t["routes"] > 0
    )


def _information(chosen: np.ndarray, which: np.ndarray, n_domains: int) -> float:
    """I(expert; domain) / H(domain) of the routes in chosen [T, E], domain index which [T]."""
    joint = np.zeros((n_domains, chosen.shape[1]))
    np.add.at(joint, which, chosen.astype(float))
    if not joint.sum():
        return float("nan")
    joint /= joint.sum()
    over_domains, over_experts = joint.sum(1), joint.sum(0)
    total = entropy(over_domains)
    if total <= 0:
        return float("nan")
    return float((total + entropy(over_experts) - entropy(joint.reshape(-1))) / total)


def shuffles_sequences(trace: RoutingTrace) -> bool:
    """Whether the null swaps the labels of whole sequences. It does where each sequence has one label and there are enough of them.

    Tokens of one sequence are alike, so shuffling single tokens makes the null too small; but with one sequence per domain every swap would
    only rename the domains and leave all information in place.
    """
    sequences, first, member = np.unique(trace.sequence, return_index=True, return_inverse=True)
    enough = len(sequences) >= SEQUENCES_PER_DOMAIN * len(set(trace.group))
    return enough and bool((trace.group == trace.group[first][member]).all())


def _shuffled(trace: RoutingTrace, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if shuffles_sequences(trace):
        _, first, member = np.unique(trace.sequence, return_index=True, return_inverse=True)
        return rng.permutation(labels[first])[member]
    return rng.permutation(labels)


def _same_batch(one: RoutingTrace, other: RoutingTrace) -> None:
    if one.n_tokens != other.n_tokens or not np.array_equal(one.tokens, other.tokens):
        raise ValueError(
            f"the two traces are of different batches ({one.n_tokens} and {other.n_tokens} tokens, or other texts)"
        )
