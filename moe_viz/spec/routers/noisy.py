"""Token-choice routers that measure load through noise: a smooth chance of being chosen stands in for the hard count."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RenormalisedByDefault, TokenChoice, k_knob


class NoisyTopK(RenormalisedByDefault):
    facts = Facts(
        chooser="token_with_luck",
        title=N_("Noisy top-k"),
        year=2017,
        paper="Shazeer et al., Outrageously Large Neural Networks, arXiv:1701.06538",
        idea=N_(
            "Learned noise shakes the scores before the choice, so that close experts take turns and load can be learned."
        ),
        formula=r"H_{ti}=(x_tW_g)_i+\epsilon_{ti}\,\mathrm{softplus}\big((x_tW_{noise})_i\big),\quad "
        r"w_t=\mathrm{softmax}(\mathrm{top}_k(H_t)),\quad "
        r"\mathrm{Load}_i=\sum_t\Phi\!\left(\frac{(x_tW_g)_i-\mathrm{kth}_{\setminus i}(H_t)}{\mathrm{softplus}((x_tW_{noise})_i)}\right)",
        used_by=N_("The first large sparse layer, between LSTMs; Tensor2Tensor."),
        cost=N_("k experts per token and a second small matrix for the noise."),
        fails=N_("Two loss terms to tune; the noise may shrink before the load is even."),
    )
    name: Literal["noisy_topk"] = "noisy_topk"
    k: int = k_knob(2, ge=2)
    noise: float = Knob(
        1.0,
        ge=0,
        le=10,
        live=True,
        title=N_("Noise scale"),
        help=N_("Multiplies the learned noise, in training only. 1 is the published router, 0 switches the noise off."),
    )
    noise_epsilon: float = Knob(
        0.01,
        ge=0,
        le=1,
        live=True,
        title=N_("Smallest noise"),
        help=N_("Added to the learned standard deviation. The paper has none; its released code adds 0.01."),
    )
    zero_start: bool = Knob(
        False,
        live=False,
        title=N_("Start from zero scores"),
        help=N_("The paper's start: all scores equal, so that only noise chooses at first."),
    )


class VMoE(TokenChoice):
    facts = Facts(
        chooser="token_with_luck",
        title="V-MoE",
        year=2021,
        paper="Riquelme et al., Scaling Vision with Sparse Mixture of Experts, arXiv:2106.05974",
        idea=N_("When buffers are short, the surest tokens of the whole batch are served first."),
        formula=r"w_{ti}=p_{ti}\ (i\in S_t),\quad p_t=\mathrm{softmax}(x_tW_g+\epsilon),\ \epsilon\sim\mathcal N(0,E^{-2}),\quad "
        r"\text{order tokens by }\max_i p_{ti}",
        used_by="V-MoE, LIMoE",
        cost=N_("k experts per token; capacity can be cut far below 1 with little harm on images."),
        fails=N_("Short buffers are filled by looking at the whole batch: a language model would see its own future."),
    )
    name: Literal["vmoe"] = "vmoe"
    drop_policy: Literal["position", "probability", "random", "batch_priority", "reroute"] = Knob(
        "batch_priority",
        live=True,
        title=N_("Drop policy"),
        help=N_("Who keeps a slot when an expert is full. Batch priority is what defines this router."),
    )
    noise: float = Knob(
        0.0,
        ge=0,
        le=10,
        live=True,
        unit=N_("1/E"),
        title=N_("Noise"),
        help=N_(
            "Standard deviation of Gaussian noise on the scores in training, in units of one over the number of experts."
        ),
    )
