"""The real trainer, with a parameter that is lost in the middle of training, as a numerical accident would have it."""

import torch

from moe_viz.training import Trainer

FIRST_NAN_SEED = 100
"""Seeds from here on lose one weight after ten steps."""


class NaNTrainer(Trainer):
    def step(self):
        if self.config.seed >= FIRST_NAN_SEED and self.step_number == 10:
            with torch.no_grad():
                next(iter(self.model.parameters())).view(-1)[0] = float("nan")
        super().step()
