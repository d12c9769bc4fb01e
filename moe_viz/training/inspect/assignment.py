"""What every assignment of a few tokens to experts would cost a trained model of points: each token through each expert alone, with its gate."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from moe_viz.records.assignment import AssignmentLosses
from moe_viz.spec.knobs import N_
from moe_viz.tasks import Batch, observing
from moe_viz.training.run import Run

TOKENS = 12


def assignment_losses(run: Run, deal: int) -> AssignmentLosses:
    """The losses of deal `deal` (from 0): the held-out points from 12 * deal on. Changes nothing.

    Exact where nothing follows the layer that could mix tokens: the points task with one layer. Raises ValueError for other runs, for a gate
    that is no choice of one expert by scores, and for a deal beyond the held-out points.
    """
    config, flat = run.config, run.config.flat()
    if config.task.name != "clusters" or config.n_layers != 1 or flat.get("k") != 1 or config.n_shared:
        raise ValueError(
            N_("This needs the points task with one layer, one expert for each token and no shared expert.")
        )
    if config.n_experts < 2 or TOKENS % config.n_experts:
        raise ValueError(N_("This needs a number of experts by which twelve can be divided."))
    held_out, (_batch, labels) = run.task.held_out, run.task.analysis
    rows = slice(deal * TOKENS, (deal + 1) * TOKENS)
    if deal < 0 or rows.stop > len(held_out.inputs):
        raise ValueError(f"deal = {deal} must be 0 to {len(held_out.inputs) // TOKENS - 1}")
    batch = Batch(held_out.inputs[rows], held_out.targets[rows], held_out.token_ids[rows], TOKENS)
    probs, losses = _through_each(run, batch)
    groups = labels.group[rows]
    return AssignmentLosses(
        step=run.step_number,
        seed=config.seed,
        deal=deal,
        slots=TOKENS // config.n_experts,
        tokens=np.array([f"{group}{i}" for i, group in enumerate(groups, 1)]),
        groups=groups,
        losses=losses,
        probs=probs,
        untrained=_through_each(Run(config), batch)[0],
    )


def _through_each(run: Run, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Gates [T, E] and losses [T, E + 1] of the run's model as it is."""
    model = run.model
    layer = model.moe_layers[0]
    with observing(model):
        seen = batch.inputs if model.shared_vector is None else batch.inputs + model.shared_vector
        probs = layer.router(seen, batch.token_ids, None).probs
        answers = layer.experts(seen.expand(run.config.n_experts, *seen.shape))  # [E, T, D]
        columns = [probs[:, e, None] * answers[e] for e in range(run.config.n_experts)]
        columns.append(torch.zeros_like(answers[0]))
        losses = torch.stack([run.task.loss(outputs, batch)[1] for outputs in columns], 1)
    return _np(probs), _np(losses)


def _np(tensor: Tensor) -> np.ndarray:
    return tensor.double().cpu().numpy()
