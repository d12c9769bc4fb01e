"""Top-2 routers that decide anew whether a token's second expert is worth its place: GShard, ST-MoE, NLLB."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RenormalisedByDefault, k_knob

SECOND_EXPERT_HELP = N_(
    "In training: keep the second expert at random, the likelier the higher its gate; or draw it at random from the rest; or always take it."
)


class GShard(RenormalisedByDefault):
    facts = Facts(
        chooser="token_with_luck",
        title="GShard",
        year=2020,
        paper="Lepikhin et al., GShard, arXiv:2006.16668",
        idea=N_("The best expert always, the second one at random in proportion to its gate."),
        formula=r"w_{t1}=\frac{p_{t1}}{p_{t1}+p_{t2}},\ w_{t2}=\frac{p_{t2}}{p_{t1}+p_{t2}};\quad "
        r"\text{second kept with probability}\ \min(1,2w_{t2});\quad "
        r"\mathcal L_{bal}=E\sum_i f^{(1)}_iP_i",
        used_by="GShard, DeepSpeed-MoE, fairseq",
        cost=N_("Between one and two experts per token."),
        fails=N_("First choices alone are balanced; second choices overflow first."),
    )
    name: Literal["gshard"] = "gshard"
    k: int = k_knob(2, ge=2, le=2, help=N_("GShard sends each token to at most two experts."))
    second_expert: Literal["random", "sampling", "all"] = Knob(
        "random", live=True, title=N_("Second expert"), help=SECOND_EXPERT_HELP
    )


class STMoE(RenormalisedByDefault):
    facts = Facts(
        chooser="token_with_luck",
        title="ST-MoE",
        year=2022,
        paper="Zoph et al., ST-MoE: Designing Stable and Transferable Sparse Expert Models, arXiv:2202.08906",
        idea=N_("Top-2 with a threshold for the second expert, kept stable by the z-loss."),
        formula=r"\mathcal L_z=\frac1T\sum_t\Big(\log\sum_i e^{(x_tW_g)_i}\Big)^2,\quad "
        r"\text{expert }i\text{ beyond the first kept with probability}\ \min(1,w_{ti}/\theta)",
        used_by="ST-MoE-32B",
        cost=N_("Between one and k experts per token."),
        fails=N_("Too strong a z-loss flattens the gates."),
    )
    name: Literal["st_moe"] = "st_moe"
    k: int = k_knob(2, ge=2)
    threshold: float = Knob(
        0.2,
        ge=0,
        le=1,
        live=True,
        title=N_("Threshold"),
        help=N_("Gates below this are kept only sometimes, in training. 0 keeps all."),
    )


class NLLB(RenormalisedByDefault):
    facts = Facts(
        title="NLLB-200",
        year=2022,
        paper="NLLB Team, No Language Left Behind: Scaling Human-Centered Machine Translation, arXiv:2207.04672",
        idea=N_("A gate decides how much of a token is worth sending to experts at all; a budget keeps it honest."),
        formula=r"y_t=(1-g_t)\,\mathrm{FFN}(x_t)+g_t\sum_{i\in S_t}w_{ti}f_i(x_t),\quad g_t=\sigma(u^\top x_t+b),\quad "
        r"\mathcal L_{cmr}=\Big|\frac1T\sum_t g_t-p\Big|",
        used_by="NLLB-200 54.5B",
        cost=N_("Two experts and one shared network per token: the gate blends both, it saves no work."),
        fails=N_("Without the budget the gate may ignore the experts, or the shared network."),
    )
    name: Literal["nllb"] = "nllb"
    k: int = k_knob(2, ge=2, le=2, help=N_("NLLB sends each token to at most two experts."))
    second_expert: Literal["random", "sampling", "all"] = Knob(
        "all", live=True, title=N_("Second expert"), help=SECOND_EXPERT_HELP
    )
    budget: float = Knob(
        0.8,
        ge=0,
        le=1,
        live=True,
        title=N_("Expert budget"),
        help=N_("The average share of a token that should go to experts rather than to the shared network."),
    )
    cmr_coef: float = Knob(
        0.1,
        ge=0,
        le=10,
        live=True,
        title=N_("Budget weight"),
        help=N_("Weight of the distance between the budget and what is used, over all layers together."),
    )
    gate_drop: float = Knob(
        0.0,
        ge=0,
        lt=1,
        live=True,
        title=N_("Gate dropout"),
        help=N_("Chance, in training, that a token is kept away from the experts altogether."),
    )
    output_mask: float = Knob(
        0.0,
        ge=0,
        lt=1,
        live=True,
        title=N_("Expert output masking"),
        help=N_(
            "Chance, in training, that one expert's answer for one token is blanked. At evaluation all answers shrink by as much."
        ),
    )
