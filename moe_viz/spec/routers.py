"""Every router's declaration: what it is (title, year, paper, idea, flags) and its options with ranges.

One pydantic model per router; `ROUTER_OPTIONS` maps the registry name to it. The torch modules that do what is declared
here live in `moe_viz/moe/routers/`. Defaults are neutral (dropless, no noise); a paper's own choices are in `PRESETS`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from moe_viz.spec.knobs import Knob, N_, Spec


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
    causal: bool = True
    """A token's route depends on that token and earlier ones only. Otherwise a language model sees its own future."""
    differentiable: bool = True
    """The task loss reaches the router's weights."""
    dropless: bool = True
    """Can run without dropping routes."""
    fixed_load: bool = False
    """Every expert's load is fixed by construction."""
    stochastic_eval: bool = False
    """Still random at evaluation."""


class RouterOptions(Spec):
    """Base: options of one router. Subclasses narrow `name` to a Literal and declare `facts`."""

    facts: ClassVar[Facts]
    name: str

    def check_experts(self, n_experts: int) -> None:
        """Raise ValueError where an option cannot hold with this many experts."""
        k = getattr(self, "k", None)
        if k is not None and k > n_experts:
            raise ValueError(f"k = {k} is more than the {n_experts} experts there are; k must be 1 to {n_experts}")


class TokenChoice(RouterOptions):
    """Options that all routers share in which each token picks its k experts."""

    k: int = Knob(
        2, ge=1, le=16, live=True, level="basic",
        title=N_("k (experts per token)"),
        help=N_("How many experts each token is sent to."),
    )
    capacity_factor: float | None = Knob(
        None, ge=0.05, le=16, live=True, level="basic", stops=[None, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0],
        title=N_("Capacity factor"),
        help=N_("Size of each expert's buffer, relative to a perfectly even share. None means dropless: no token is ever dropped."),
    )
    capacity_rounding: Literal["ceil", "floor", "round"] = Knob(
        "ceil", live=True, title=N_("Capacity rounding"),
        help=N_("How capacity is made a whole number. Implementations differ."),
    )
    min_capacity: int = Knob(
        1, ge=1, le=64, live=True, title=N_("Smallest capacity"), unit="slots", help=N_("No buffer is smaller than this."),
    )
    drop_policy: Literal["position", "probability", "random", "batch_priority", "reroute"] = Knob(
        "position", live=True, title=N_("Drop policy"),
        help=N_("Who keeps a slot when an expert is full: earlier tokens, likelier tokens, a random few, surest tokens first; or try the next expert."),
    )
    renormalize: Literal["before_drop", "after_drop", "never"] = Knob(
        "never", live=True, title=N_("Renormalise gates"),
        help=N_("Whether the chosen gates are scaled to sum to 1, and whether before or after full experts drop routes."),
    )
    noise: float = Knob(
        0.0, ge=0, le=10, live=True, title=N_("Selection noise"),
        help=N_("Standard deviation of Gaussian noise added to the scores before the choice, in training only."),
    )

    @model_validator(mode="after")
    def _gate_must_learn(self) -> TokenChoice:
        if self.k == 1 and self.renormalize != "never":
            raise ValueError(
                f"renormalize = '{self.renormalize}' with k = 1 makes every gate exactly 1, so the router gets no gradient; "
                "use renormalize = 'never' or k >= 2"
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


class TopK(RenormalisedByDefault):
    facts = Facts(
        title=N_("Top-k softmax"), year=2017, paper="Shazeer et al., Outrageously Large Neural Networks, arXiv:1701.06538 (without the noise)",
        idea=N_("Each token goes to the k experts with the highest scores."),
        formula=r"w_{ti} = \frac{p_{ti}}{\sum_{j\in S_t} p_{tj}},\quad S_t=\mathrm{top}_k(x_tW_g),\quad p_t=\mathrm{softmax}(x_tW_g)",
        used_by=N_("The plain form behind most sparse models."), cost=N_("k experts per token."),
        fails=N_("A few experts can win everything if nothing balances the load."),
    )
    name: Literal["topk"] = "topk"
    score: Literal["softmax", "sigmoid"] = Knob(
        "softmax", live=True, title=N_("Score"), help=N_("Turn the scores into gates by softmax over the experts, or by a sigmoid for each expert."),
    )


class Mixtral(RenormalisedByDefault):
    facts = Facts(
        title="Mixtral", year=2024, paper="Jiang et al., Mixtral of Experts, arXiv:2401.04088",
        idea=N_("Top-2 of 8, softmax over the two that were chosen; no capacity limit."),
        formula=r"w_t=\mathrm{softmax}(\mathrm{top}_k(x_tW_g))", used_by="Mixtral 8x7B, 8x22B",
        cost=N_("k experts per token."), fails=N_("Needs a balancing loss to keep experts evenly used."),
    )
    name: Literal["mixtral"] = "mixtral"
    k: int = Knob(2, ge=2, le=16, live=True, level="basic", title=N_("k (experts per token)"), help=N_("How many experts each token is sent to."))


class Switch(TokenChoice):
    facts = Facts(
        title="Switch", year=2021, paper="Fedus, Zoph, Shazeer, Switch Transformers, arXiv:2101.03961",
        idea=N_("One expert per token; its gate scales the output, buffers are limited, the rest is dropped."),
        formula=r"y_t = p_{t i^*}\,f_{i^*}(x_t),\quad i^*=\arg\max_i p_{ti},\quad \mathcal L_{bal}=E\sum_i f_iP_i",
        used_by="Switch-Base … Switch-C", cost=N_("One expert per token: the cheapest sparse layer."),
        fails=N_("Full experts drop tokens; without balancing a few experts take all."),
    )
    name: Literal["switch"] = "switch"
    k: int = Knob(1, ge=1, le=1, live=True, level="basic", title=N_("k (experts per token)"), help=N_("Switch sends each token to exactly one expert."))
    jitter: float = Knob(
        0.0, ge=0, lt=1, live=True, title=N_("Input jitter"),
        help=N_("In training the router sees its input multiplied by random numbers in 1 ± this."),
    )


def _registry() -> dict[str, type[RouterOptions]]:
    def leaves(cls: type[RouterOptions]) -> list[type[RouterOptions]]:
        found = [cls] if "facts" in cls.__dict__ else []
        return found + [leaf for sub in cls.__subclasses__() for leaf in leaves(sub)]

    return {cls.model_fields["name"].default: cls for cls in leaves(RouterOptions)}


ROUTER_OPTIONS: dict[str, type[RouterOptions]] = _registry()
"""Registry name -> options model."""

PRESETS: dict[str, dict[str, Any]] = {
    "switch_paper": {"name": "switch", "capacity_factor": 1.25, "jitter": 0.01, "min_capacity": 4, "capacity_rounding": "floor"},
}
"""A paper's or implementation's own choice of options."""


def router_options(name: str, **options: Any) -> RouterOptions:
    """Validated options of one router. Raises ValueError with the known names for an unknown `name`, and on any bad option."""
    if name not in ROUTER_OPTIONS:
        raise ValueError(f"unknown router {name!r}; known: {', '.join(ROUTER_OPTIONS)}")
    return ROUTER_OPTIONS[name](name=name, **options)
