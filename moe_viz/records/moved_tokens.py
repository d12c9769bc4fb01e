"""Two moments of one run (or two runs) on the same batch: which tokens changed their expert, and how that differs between domains.

Axes: T tokens. Experts are indices from 0; -1 = none. The measures themselves are in `specialisation`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from moe_viz.records.specialisation import first_choice, membership, moved
from moe_viz.records.trace import RoutingTrace


def who_moved(then: RoutingTrace, now: RoutingTrace) -> pd.DataFrame:
    """One row per token whose first choice differs, in the order of the batch.

    Columns: index (in the batch), token, group, position, before, after (experts), gate_before (its probability for `before` then),
    gate_after (for `after` now; blank without an expert). Raises ValueError where the two are of different batches.
    """
    index = np.flatnonzero(moved(then, now))
    before, after = first_choice(then)[index], first_choice(now)[index]
    return pd.DataFrame(
        {
            "index": index,
            "token": now.tokens[index],
            "group": now.group[index],
            "position": now.position[index],
            "before": before,
            "after": after,
            "gate_before": np.where(before >= 0, then.probs[index, before], np.nan),
            "gate_after": np.where(after >= 0, now.probs[index, after], np.nan),
        }
    )


def moved_by_domain(then: RoutingTrace, now: RoutingTrace) -> pd.DataFrame:
    """One row per domain: group, tokens, moved (share whose first choice differs), saturation (share of today's choices made then already;
    blank where nothing is chosen now). Raises ValueError where the two are of different batches.
    """
    different = moved(then, now)
    before, after = membership(then), membership(now)
    common, chosen = (before & after).sum(1), after.sum(1)
    rows = []
    for group in pd.unique(pd.Series(now.group)):
        ours = now.group == group
        routed = ours & (chosen > 0)
        share = (common[routed] / chosen[routed]).mean() if routed.any() else np.nan
        rows.append({"group": group, "tokens": int(ours.sum()), "moved": different[ours].mean(), "saturation": share})
    return pd.DataFrame(rows, columns=["group", "tokens", "moved", "saturation"])
