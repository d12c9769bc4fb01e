"""What is learned: real data sets and their losses, one `Task` for each entry of `spec.TASK_OPTIONS`.

May import: `moe`, `spec`. Must not know: models, training, pages.
"""

from __future__ import annotations

import torch

from moe_viz.spec import RunConfig
from moe_viz.tasks.base import Batch, ProbeLabels, Task, observing
from moe_viz.tasks.clusters import ClustersTask
from moe_viz.tasks.digits import DigitsTask
from moe_viz.tasks.domains import DomainsTask
from moe_viz.tasks.photo import PhotoTask
from moe_viz.tasks.plane import PlaneTask

TASKS: dict[str, type[Task]] = {
    "domains": DomainsTask,
    "digits": DigitsTask,
    "photo": PhotoTask,
    "clusters": ClustersTask,
    "plane": PlaneTask,
}


def make_task(config: RunConfig, device: torch.device) -> Task:
    """The task of `config.task` with its data on `device`."""
    return TASKS[config.task.name](config, device)


__all__ = ["TASKS", "Batch", "ProbeLabels", "Task", "make_task", "observing"]
