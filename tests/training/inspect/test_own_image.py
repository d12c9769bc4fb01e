"""The reader's picture through a training run: routed by the present weights, its patches are the probe's own, and the run goes on as before."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from moe_viz.tasks.photo import load_photos
from moe_viz.training import Trainer
from tests.training.conftest import small


def png(image):
    out = io.BytesIO()
    Image.fromarray((image * 255).round().astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_a_picture_of_the_probe_is_routed_as_it_is_there():
    trainer = Trainer(small("photo", router={"name": "topk", "k": 2}))
    trainer.run(3)
    traces, image = trainer.route_image(png(load_photos()[-1][2]))
    shown = trainer.snapshot()
    assert np.abs(image - shown.extras["images"][2]).max() < 1 / 250
    for own, probe in zip(traces, shown.traces, strict=True):
        here = probe.sequence == 2
        assert own.step == 3 and own.n_tokens == 96 and list(own.tokens) == list(probe.tokens[here])
        assert (own.expert[:, 0] == probe.expert[here][:, 0]).mean() > 0.95
        assert np.abs(own.probs - probe.probs[here]).max() < 0.02


def test_looking_at_a_picture_leaves_the_run_as_it_was():
    plain, looked = (Trainer(small("digits", router={"name": "noisy_topk"})) for _ in range(2))
    plain.run(4)
    for _ in range(4):
        looked.step()
        looked.route_image(png(np.zeros((9, 20))))
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), looked.model.parameters(), strict=True))


@pytest.mark.parametrize("task", ["domains", "clusters"])
def test_tasks_without_images_say_so(task):
    with pytest.raises(ValueError, match="no images"):
        Trainer(small(task)).route_image(png(np.zeros((4, 4))))
