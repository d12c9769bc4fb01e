"""What every router's declaration shares: the facts on its card, and the options common to token-choice routers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from moe_viz.spec.knobs import N_, Knob, Spec
from moe_viz.spec.sentence import Refused

CHOOSERS = {
    "token": N_("Each token chooses its experts"),
    "token_with_luck": N_("Each token chooses, with some luck"),
    "expert": N_("Each expert chooses its tokens"),
    "batch": N_("The whole batch is shared out evenly"),
    "nobody": N_("Nobody chooses: answers are blended"),
    "unlearned": N_("Nothing that is learned chooses"),
}
"""Who decides which expert gets which token -> the name of the family."""


class Facts(Spec):
    """What a card says about a router."""

    title: str
    year: int
    paper: str
    """Authors, title, and arXiv number or venue."""
    idea: str
    """One line."""
    formula: str = ""
    """LaTeX."""
    used_by: str = ""
    cost: str = ""
    fails: str = ""
    chooser: Literal["token", "token_with_luck", "expert", "batch", "nobody", "unlearned"] = "token"
    """Who decides which expert has which token, see `CHOOSERS`."""
    differentiable: bool = True
    """The task loss reaches the router's weights."""
    dropless: bool = True
    """Can run without dropping routes."""
    fixed_load: bool = False
    """Every expert's load is fixed by construction."""
    stochastic_eval: bool = False
    """Still random at evaluation."""
    per_sequence: bool = False
    """Tokens meet only tokens of their own sequence or image; other routers work on the whole batch."""


class RouterOptions(Spec):
    """Base: options of one router. Subclasses narrow `name` to a Literal and declare `facts`."""

    facts: ClassVar[Facts]
    name: str

    def looks_ahead(self, n_experts: int) -> str:
        """Why the choice for a token depends on later tokens (in training), one sentence to be translated; "" where it does not.

        Of the gate alone: what full buffers do to a choice is computed for all routers alike (`spec/causality.py`).
        """
        return ""

    def check_experts(self, n_experts: int) -> None:
        """Raise ValueError where an option cannot hold with this many experts."""
        k = getattr(self, "k", None)
        if k is not None and k > n_experts:
            raise Refused(
                N_("k = {k} is more than the {n_experts} experts there are; k must be 1 to {n_experts}"),
                k=k,
                n_experts=n_experts,
            )


def k_knob(
    default: int, *, ge: int = 1, le: int = 16, help: str = N_("How many experts each token is sent to.")
) -> Any:
    """The knob `k`, for routers that allow fewer values of it."""
    return Knob(default, ge=ge, le=le, live=True, level="basic", title=N_("k (experts per token)"), help=help)


class TokenChoice(RouterOptions):
    """Options that all routers share in which each token picks its k experts."""

    k: int = k_knob(2)
    capacity_factor: float | None = Knob(
        None,
        ge=0.05,
        le=16,
        live=True,
        level="basic",
        stops=[None, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0],
        title=N_("Capacity factor"),
        help=N_(
            "Size of each expert's buffer, relative to a perfectly even share. None means dropless: no token is ever dropped."
        ),
    )
    capacity_rounding: Literal["ceil", "floor", "round"] = Knob(
        "ceil",
        live=True,
        title=N_("Capacity rounding"),
        help=N_("How capacity is made a whole number. Implementations differ."),
    )
    min_capacity: int = Knob(
        1,
        ge=1,
        le=64,
        live=True,
        title=N_("Smallest capacity"),
        unit=N_("slots"),
        help=N_("No buffer is smaller than this."),
    )
    drop_policy: Literal["position", "probability", "random", "batch_priority", "reroute"] = Knob(
        "position",
        live=True,
        title=N_("Drop policy"),
        help=N_(
            "Who keeps a slot when an expert is full: earlier tokens, likelier tokens, a random few, surest tokens first; or try the next expert."
        ),
    )
    renormalize: Literal["before_drop", "after_drop", "never"] = Knob(
        "never",
        live=True,
        title=N_("Renormalise gates"),
        help=N_(
            "Whether the chosen gates are scaled to sum to 1, and whether before or after full experts drop routes."
        ),
    )
    noise: float = Knob(
        0.0,
        ge=0,
        le=10,
        live=True,
        title=N_("Selection noise"),
        help=N_("Standard deviation of Gaussian noise added to the scores before the choice, in training only."),
    )

    @property
    def choices(self) -> int:
        """Experts that a token asks for, at most."""
        return self.k

    @model_validator(mode="after")
    def _gate_must_learn(self) -> TokenChoice:
        if self.k == 1 and self.renormalize != "never":
            raise Refused(
                N_(
                    "renormalize = '{renormalize}' with k = 1 makes every gate exactly 1, so the router gets no gradient; use renormalize = 'never' or k >= 2"
                ),
                renormalize=self.renormalize,
            )
        return self


class RenormalisedByDefault(TokenChoice):
    """Token choice whose gates sum to 1 unless k is 1 (where that would stop the router from learning)."""

    @model_validator(mode="before")
    @classmethod
    def _default_renormalize(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("renormalize") is None:
            k = data.get("k", cls.model_fields["k"].default)
            data = {**data, "renormalize": "never" if k == 1 else "before_drop"}
        return data
