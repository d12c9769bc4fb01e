"""Routers that learn otherwise than by back-propagation through a top-k gate, or do not learn at all."""

from __future__ import annotations

from typing import Literal

from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers.base import Facts, RouterOptions, k_knob


class Reinforce(RouterOptions):
    facts = Facts(
        chooser="token_with_luck",
        title="REINFORCE",
        year=2022,
        paper="Clark et al., Unified Scaling Laws for Routed Language Models (RL-R), arXiv:2202.01169; Williams 1992; Bengio et al. 2015, arXiv:1511.06297",
        idea=N_(
            "The router is a policy: it draws one expert per token and is paid by how well the token is then predicted."
        ),
        formula=r"e_t\sim\pi_t=\mathrm{softmax}(x_tW_g),\quad y_t=f_{e_t}(x_t),\quad "
        r"\mathcal L_{RL}=-\tfrac1T\sum_t(R_t-b(x_t))\log\pi_t(e_t)",
        used_by=N_("Research"),
        cost=N_("One expert per token; noisy gradients, so more steps."),
        fails=N_("High variance: it learns slowly, and was found worse than balanced assignment."),
        differentiable=False,
    )
    name: Literal["reinforce"] = "reinforce"
    baseline: Literal["learned", "mean", "none"] = Knob(
        "learned",
        live=True,
        title=N_("Baseline"),
        help=N_(
            "What is subtracted from the reward: a learned guess for each token, the mean of all other tokens, or nothing. Less variance, and the same expected gradient."
        ),
    )
    policy_coef: float = Knob(
        0.1,
        ge=0,
        le=10,
        live=True,
        stops=[0.0, 0.01, 0.03, 0.1, 0.3, 1.0],
        title=N_("Policy weight"),
        help=N_("Weight of the policy-gradient term in the loss."),
    )
    entropy_coef: float = Knob(
        0.001,
        ge=0,
        le=1,
        live=True,
        stops=[0.0, 0.001, 0.003, 0.01, 0.03, 0.1],
        title=N_("Entropy weight"),
        help=N_("How strongly an undecided policy is favoured: keeps the router exploring."),
    )


class ReMoE(RouterOptions):
    facts = Facts(
        title="ReMoE",
        year=2024,
        paper="Wang, Chen, Zhu, ReMoE: Fully Differentiable Mixture-of-Experts with ReLU Routing, arXiv:2412.14711",
        idea=N_(
            "The gate is a ReLU: experts with a positive score run. An L1 penalty, tuned while training, sets how many."
        ),
        formula=r"w_t=\mathrm{ReLU}(x_tW_g),\quad \mathcal L=\mathcal L_{task}+\lambda_n\sum_i f_i\,\tfrac1T\sum_t w_{ti},\quad "
        r"\lambda_{n+1}=\lambda_n\,\alpha^{\mathrm{sign}\left((1-k/E)-\mathrm{sparsity}_n\right)}",
        used_by=N_("Research"),
        cost=N_("About k experts per token once it has become sparse; all of them in the first steps."),
        fails=N_(
            "Starts dense and slow. An expert whose score is never positive gets no gradient and stays dead; tokens centred on zero keep half of the experts open."
        ),
    )
    name: Literal["remoe"] = "remoe"
    k: int = k_knob(2, help=N_("Experts per token that the penalty aims at, on average."))
    balanced_l1: bool = Knob(
        True,
        live=True,
        title=N_("Balanced penalty"),
        help=N_("Penalise busy experts more, which also evens the load. Off: the same penalty for all."),
    )
    l1_start: float = Knob(
        1e-8,
        gt=0,
        le=1,
        live=False,
        stops=[1e-8, 1e-6, 1e-4],
        title=N_("First penalty"),
        help=N_("The penalty's weight at the start."),
    )
    l1_growth: float = Knob(
        1.2,
        gt=1,
        le=2,
        live=True,
        title=N_("Penalty growth"),
        help=N_(
            "Factor by which the penalty rises after a step that was too dense, or falls after one that was too sparse."
        ),
    )


class KMeans(RouterOptions):
    facts = Facts(
        chooser="unlearned",
        title=N_("Online k-means"),
        year=2026,
        paper="Ahrac, Hochwald, Geva, Routers Learn the Geometry of Their Experts, arXiv:2605.12476",
        idea=N_(
            "No learned router: an expert is the running average of the tokens it has had, and takes those most like it."
        ),
        formula=r"S_t=\mathrm{top}_k\cos(x_t,c_i),\quad c_i\leftarrow\frac{\beta n_ic_i+\sum_{t\to i}x_t}{\beta n_i+|\{t\to i\}|}",
        used_by=N_(
            "Research. Known here from the paper's abstract: the forgetting, the gate and the rescue of unused centroids are this lab's own choices."
        ),
        cost=N_("k experts per token; the router has no parameters and needs no gradient."),
        fails=N_("Groups tokens by likeness, not by what helps the task; groups are as uneven as the data."),
        differentiable=False,
    )
    name: Literal["kmeans"] = "kmeans"
    k: int = k_knob(1)
    distance: Literal["cosine", "euclidean"] = Knob(
        "cosine",
        live=True,
        title=N_("Likeness"),
        help=N_("Compare directions only, or positions."),
    )
    temperature: float = Knob(
        0.1,
        ge=0.001,
        le=100,
        live=True,
        title=N_("Temperature"),
        help=N_("Of the softmax that turns likeness into gates when k is 2 or more; one expert always has weight 1."),
    )
    decay: float = Knob(
        0.99,
        ge=0,
        le=1,
        live=True,
        stops=[0.5, 0.9, 0.99, 0.999, 1.0],
        title=N_("Memory"),
        help=N_("How much of an expert's past each step keeps. 1 is the plain running mean, which never forgets."),
    )
    revive_below: float = Knob(
        0.02,
        ge=0,
        le=0.5,
        live=True,
        title=N_("Rescue below"),
        unit=N_("of the fair share"),
        help=N_("A centroid with less of the tokens than this moves to the token that is worst served. 0: never."),
    )


class Random(RouterOptions):
    facts = Facts(
        chooser="unlearned",
        title=N_("Random (THOR)"),
        year=2021,
        paper="Zuo et al., Taming Sparsely Activated Transformer with Stochastic Experts, arXiv:2110.04260",
        idea=N_(
            "No router: k experts drawn at random, for the whole batch or for each token. The control for every other router."
        ),
        formula=r"S_t\sim\mathrm{Uniform}\{S\subset\{1..E\}:|S|=k\},\quad w_{ti}=\tfrac1k",
        used_by=N_("THOR machine translation, which also asks its two experts to agree."),
        cost=N_("k experts per token and no router."),
        fails=N_("Experts cannot specialise: each sees the same data."),
        differentiable=False,
        stochastic_eval=True,
    )
    name: Literal["random"] = "random"
    k: int = k_knob(2)
    per: Literal["token", "batch"] = Knob(
        "token",
        live=True,
        title=N_("Drawn for"),
        help=N_("Each token its own experts, or one draw for the whole batch as in the paper."),
    )
    evaluation: Literal["random", "average"] = Knob(
        "random",
        live=True,
        title=N_("At evaluation"),
        help=N_("Draw k experts as in training, or average all of them."),
    )
    consistency: float = Knob(
        0.0,
        ge=0,
        le=100,
        live=True,
        stops=[0.0, 1.0, 5.0, 20.0],
        title=N_("Agreement"),
        help=N_(
            "Weight of THOR's consistency loss: each step passes the batch a second time, through other experts, and asks both outputs "
            "to agree. 5 in the paper; 0: one pass, half the work."
        ),
    )
