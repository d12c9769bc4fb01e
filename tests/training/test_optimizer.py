"""Our AdamW is torch's, bit for bit, and a run never loads torch's compiler."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from moe_viz.training.optimizer import FusedAdamW


def test_equals_torch_bit_for_bit():
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for shape in ((3, 5), (7,), (2, 4, 6), (1,))]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    options = {"lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.01}
    one, two = FusedAdamW(ours, **options), torch.optim.AdamW(theirs, fused=True, **options)
    for step in range(20):
        one.param_groups[0]["lr"] = two.param_groups[0]["lr"] = 0.01 / (step + 1)
        for mine, other in zip(ours[: 4 - step % 2], theirs):  # the last has no gradient in every other step
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        one.step()
        two.step()
        one.zero_grad()
        two.zero_grad()
    for mine, other in zip(ours, theirs):
        assert torch.equal(mine, other)
        assert one.state[mine].keys() == two.state[other].keys()
        assert all(torch.equal(one.state[mine][name], two.state[other][name]) for name in one.state[mine])


def test_a_run_does_not_load_the_compiler():
    code = "import sys; from moe_viz.training import Trainer; from moe_viz.spec import RunConfig\n"
    code += "t = Trainer(RunConfig()); t.step(); t.snapshot(); t.set(router='switch', k=1); t.step()\n"
    code += "Trainer.from_bytes(t.checkpoint()).step()\nassert 'torch._dynamo' not in sys.modules"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
