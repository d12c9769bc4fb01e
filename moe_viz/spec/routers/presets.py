"""The options that a paper, a released model or a library really uses, by name.

Capacity here is `capacity_factor * k * T / E`; papers that leave out the k get their factor divided by it.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "noisy_topk_paper": {"name": "noisy_topk", "k": 4, "noise": 1.0, "noise_epsilon": 0.0, "zero_start": True},
    "noisy_topk_tensor2tensor": {"name": "noisy_topk", "k": 4, "noise": 1.0, "noise_epsilon": 0.01, "zero_start": True},
    "switch_paper": {
        "name": "switch",
        "capacity_factor": 1.25,
        "jitter": 0.01,
        "min_capacity": 4,
        "capacity_rounding": "floor",
    },
    "gshard_paper": {"name": "gshard", "second_expert": "random", "capacity_factor": 1.0, "capacity_rounding": "floor"},
    "gshard_deepspeed": {
        "name": "gshard",
        "second_expert": "sampling",
        "capacity_factor": 1.0,
        "min_capacity": 4,
        "renormalize": "after_drop",
    },
    "st_moe_paper": {
        "name": "st_moe",
        "threshold": 0.2,
        "capacity_factor": 0.625,
        "capacity_rounding": "floor",
        "min_capacity": 4,
    },
    "vmoe_paper": {"name": "vmoe", "k": 2, "noise": 1.0, "capacity_factor": 1.05, "drop_policy": "batch_priority"},
    "nllb": {
        "name": "nllb",
        "second_expert": "all",
        "capacity_factor": 1.0,
        "budget": 0.8,
        "cmr_coef": 0.1,
        "gate_drop": 0.2,
        "output_mask": 0.2,
    },
    "cosine_tutel": {"name": "cosine", "k": 2, "proj_dim": 256, "temperature": 0.5, "normalise_input": True},
    "mixtral": {"name": "mixtral", "k": 2},
    "qwen3_moe": {"name": "mixtral", "k": 8},
    "dbrx_release": {"name": "dbrx", "k": 4, "norm_p": 1.0},
    "olmoe": {"name": "olmoe", "k": 8},
    "qwen2_moe": {"name": "olmoe", "k": 4},
    "deepseek_v2": {
        "name": "deepseek_v3",
        "k": 6,
        "score": "softmax",
        "renormalize": "never",
        "bias_step": 0.0,
        "n_group": 8,
        "topk_group": 3,
        "group_score": "max",
        "routed_scaling": 16.0,
    },
    "deepseek_v3": {
        "name": "deepseek_v3",
        "k": 8,
        "bias_step": 0.001,
        "n_group": 8,
        "topk_group": 4,
        "group_score": "top2",
        "routed_scaling": 2.5,
    },
    "expert_choice_paper": {"name": "expert_choice", "capacity_factor": 2.0},
    "soft_paper": {"name": "soft", "slots_per_expert": 1},
    "base_fairseq": {"name": "base", "mix": "convex"},
    "base_paper": {"name": "base", "mix": "gate"},
    "sinkhorn_megatron": {"name": "sinkhorn", "k": 1, "gate": "sigmoid", "iterations": 200, "tolerance": 0.0001},
    "reinforce_paper": {"name": "reinforce", "baseline": "learned"},
    "remoe_paper": {"name": "remoe", "l1_start": 1e-8, "l1_growth": 1.2},
    "thor_paper": {"name": "random", "k": 1, "per": "batch", "evaluation": "random", "consistency": 5.0},
    "pr_moe": {"name": "residual", "k": 1, "capacity_factor": 1.0, "min_capacity": 4, "drop_policy": "random"},
    "hierarchical_paper": {"name": "hierarchical", "n_groups": 4, "k_groups": 2, "k": 2},
}
"""Preset name -> router options, `name` included."""
