"""AdamW (Loshchilov and Hutter 2019) straight on torch's fused kernel, the one `torch.optim.AdamW(fused=True)` calls.

Constructing any `torch.optim` optimiser imports torch's compiler: 1.4 s of CPU and 70 MB per process (torch 2.13) for something
never used here, when the first picture is due within seconds and small servers have 1 GB.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class FusedAdamW:
    """The part of `torch.optim.Optimizer` that a run needs: `param_groups` (one), `state`, `zero_grad`, `step`.

    state[parameter]: `step` scalar float32, `exp_avg` and `exp_avg_sq` of the parameter's shape, all on its device.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], weight_decay: float):
        self.param_groups: list[dict[str, Any]] = [
            {"params": list(params), "lr": lr, "betas": betas, "weight_decay": weight_decay, "eps": 1e-8}
        ]
        self.state: defaultdict[nn.Parameter, dict[str, Tensor]] = defaultdict(dict)

    def zero_grad(self) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        group: dict[str, Any] = self.param_groups[0]
        params = [parameter for parameter in group["params"] if parameter.grad is not None]
        if not params:
            return
        for parameter in params:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                    "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                }
        mean, square, steps = ([self.state[p][name] for p in params] for name in ("exp_avg", "exp_avg_sq", "step"))
        # as torch's own optimisers call them; its types leave them out
        torch._foreach_add_(steps, 1)  # pyright: ignore[reportPrivateImportUsage]
        torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage]
            params,
            [parameter.grad for parameter in params],
            mean,
            square,
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
