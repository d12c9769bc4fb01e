"""Every word the routing view shows, in English, marked for the catalogue. `{name}` is filled in by the view."""

from __future__ import annotations

from collections.abc import Callable

from moe_viz.spec.knobs import N_

LABELS: dict[str, str] = {
    "tab_batch": N_("Routing"),
    "tab_grid": N_("Probabilities"),
    "numbers": N_("Numbers"),
    "replay": N_("Replay filling"),
    "recorded": N_("recorded"),
    "source": N_("Probe batch"),
    "title": N_("{source}, step {step}, layer {layer}"),
    "batch": N_("{source}: {tokens} tokens, {dropped} dropped"),
    "experts_capacity": N_("{experts} experts, {capacity} slots each"),
    "experts_dropless": N_("{experts} experts, dropless"),
    "expert": N_("Expert {n}"),
    "token": N_("token"),
    "patch": N_("patch"),
    "point": N_("point"),
    "position": N_("position {n}"),
    "fair": N_("fair share"),
    "routes": N_("{n} of {total} routes, {share}"),
    "filled": N_("{n} of {capacity} slots filled"),
    "dropped_n": N_("{n} dropped"),
    "dead": N_("dead"),
    "idle": N_("no tokens"),
    "kept_slot": N_("Expert {n}: slot {slot} of {capacity}"),
    "kept": N_("Expert {n}: kept"),
    "lost": N_("Expert {n} is full: dropped"),
    "residual": N_("No expert has it: it goes on by the residual path."),
    "no_route": N_("No expert asked for it: it goes on by the residual path."),
    "no_routes_at_all": N_(
        "This router mixes all tokens into every slot, so there are no routes to draw; see the probabilities."
    ),
    "gate": N_("gate"),
    "weight": N_("weight {w}"),
    "others": N_("{n} others"),
    "from_groups": N_("Its tokens come from"),
    "legend_weight": N_("colour: the expert; tint: its gate weight, 0 to 1"),
    "legend_share": N_("share of the {total} routes asked for"),
    "legend_route": N_("a dropped route, as wide as a slot"),
    "legend_partial": N_("some of its routes dropped"),
    "legend_dropped": N_("dropped: goes on by the residual path"),
    "legend_grid": N_("gate probability 0 to 1"),
    "legend_chosen": N_("chosen"),
    "legend_chosen_dropped": N_("chosen, then dropped"),
    "grid": N_("Gate probability of each token (column) for each expert (row)"),
    "layer": N_("Layer {n}"),
    "more": N_("+ {n} more"),
    "empty": N_("There are no tokens to show."),
}


WITHOUT_RESIDUAL: dict[str, str] = {
    "residual": N_("No expert has it, and this model has no residual path: its output is zero."),
    "no_route": N_("No expert asked for it, and this model has no residual path: its output is zero."),
    "legend_dropped": N_("dropped: its output is zero (no residual path here)"),
}
"""What is true instead in models whose layers stand alone."""


def translated(translate: Callable[[str], str], residual: bool = True) -> dict[str, str]:
    """All labels, each passed through `translate`. residual: whether the model has a path beside the experts (`TaskOptions.residual`)."""
    labels = LABELS if residual else LABELS | WITHOUT_RESIDUAL
    return {name: translate(text) for name, text in labels.items()}
