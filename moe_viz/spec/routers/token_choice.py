"""Routers in which each token chooses its k experts: the softmax top-k line from 2017 to today."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RenormalisedByDefault, TokenChoice, k_knob


class TopK(RenormalisedByDefault):
    facts = Facts(
        title=N_("Top-k softmax"),
        year=2017,
        paper="Shazeer et al., Outrageously Large Neural Networks, arXiv:1701.06538 (without the noise)",
        idea=N_("Each token goes to the k experts with the highest scores."),
        formula=r"w_{ti} = \frac{p_{ti}}{\sum_{j\in S_t} p_{tj}},\quad S_t=\mathrm{top}_k(x_tW_g),\quad p_t=\mathrm{softmax}(x_tW_g)",
        used_by=N_("The plain form behind most sparse models."),
        cost=N_("k experts per token."),
        fails=N_("A few experts can win everything if nothing balances the load."),
    )
    name: Literal["topk"] = "topk"
    score: Literal["softmax", "sigmoid"] = Knob(
        "softmax",
        live=True,
        title=N_("Score"),
        help=N_("Turn the scores into gates by softmax over the experts, or by a sigmoid for each expert."),
    )


class Mixtral(RenormalisedByDefault):
    facts = Facts(
        title="Mixtral",
        year=2024,
        paper="Jiang et al., Mixtral of Experts, arXiv:2401.04088",
        idea=N_("Top-2 of 8, softmax over the two that were chosen; no capacity limit."),
        formula=r"w_t=\mathrm{softmax}(\mathrm{top}_k(x_tW_g))",
        used_by="Mixtral 8x7B, 8x22B",
        cost=N_("k experts per token."),
        fails=N_("Needs a balancing loss to keep experts evenly used."),
    )
    name: Literal["mixtral"] = "mixtral"
    k: int = k_knob(2, ge=2)


class Switch(TokenChoice):
    facts = Facts(
        title="Switch",
        year=2021,
        paper="Fedus, Zoph, Shazeer, Switch Transformers, arXiv:2101.03961",
        idea=N_("One expert per token; its gate scales the output, buffers are limited, the rest is dropped."),
        formula=r"y_t = p_{t i^*}\,f_{i^*}(x_t),\quad i^*=\arg\max_i p_{ti},\quad \mathcal L_{bal}=E\sum_i f_iP_i",
        used_by="Switch-Base … Switch-C",
        cost=N_("One expert per token: the cheapest sparse layer."),
        fails=N_("Full experts drop tokens; without balancing a few experts take all."),
    )
    name: Literal["switch"] = "switch"
    k: int = k_knob(1, le=1, help=N_("Switch sends each token to exactly one expert."))
    jitter: float = Knob(
        0.0,
        ge=0,
        lt=1,
        live=True,
        title=N_("Input jitter"),
        help=N_("In training the router sees its input multiplied by random numbers in 1 ± this."),
    )
