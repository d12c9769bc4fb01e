"""What all tasks promise: batches that depend on (seed, step) only, losses per token, an evaluation that disturbs nothing."""

import numpy as np
import pytest
import torch

from moe_viz.models import build_model
from moe_viz.models.vision import patches
from moe_viz.spec import TASK_OPTIONS, RunConfig
from moe_viz.tasks import TASKS, make_task
from moe_viz.tasks.photo import load_photos

CPU = torch.device("cpu")


def config_of(name, **fields):
    return RunConfig(task=name, **fields)


def test_every_declared_task_exists():
    assert TASKS.keys() == TASK_OPTIONS.keys()


@pytest.mark.parametrize("name", TASKS)
def test_batches_are_a_function_of_seed_and_step(name):
    one, other = make_task(config_of(name), CPU), make_task(config_of(name, balance_coef=0.3), CPU)
    other.train_batch(0, 0)
    first, same, later = one.train_batch(7, 5), other.train_batch(7, 5), one.train_batch(8, 5)
    assert torch.equal(first.inputs, same.inputs) and torch.equal(first.targets, same.targets)
    assert not torch.equal(first.inputs, later.inputs)
    assert not torch.equal(first.inputs, one.train_batch(7, 6).inputs)


@pytest.mark.parametrize("name", TASKS)
def test_batch_tokens_is_read_at_every_batch(name):
    task = make_task(config_of(name), CPU)
    task.config = config_of(name, batch_tokens=128)
    assert task.train_batch(0, 0).token_ids.numel() == 128
    task.config = config_of(name, batch_tokens=16)
    assert task.train_batch(0, 0).token_ids.numel() >= 16


@pytest.mark.parametrize("name", TASKS)
def test_losses_and_labels_fit_the_tokens(name):
    config = config_of(name)
    task = make_task(config, CPU)
    model = build_model(config, task)
    n_tokens = task.probe.token_ids.numel()
    loss, per_token = task.loss(model(task.probe), task.probe)
    assert per_token.shape == (n_tokens,) and torch.allclose(per_token.mean(), loss)
    labels = task.probe_labels
    for column in (labels.tokens, labels.group, labels.sequence, labels.position):
        assert len(column) == n_tokens
    assert task.token_frequencies.shape == (task.vocab_size,)
    assert int(task.probe.token_ids.min()) >= 0 and int(task.probe.token_ids.max()) < task.vocab_size


@pytest.mark.parametrize("name", TASKS)
def test_evaluating_disturbs_nothing(name):
    config = config_of(name, router={"name": "noisy_topk"})
    task = make_task(config, CPU)
    model = build_model(config, task).train()
    model(task.train_batch(0, 0))
    routings, before = model.routings, torch.get_rng_state()
    first = task.evaluate(model)
    assert task.evaluate(model) == first
    assert model.training and model.routings is routings and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_micro_batches_are_the_batch(name, parts):
    batch = make_task(config_of(name, batch_tokens=320), CPU).train_batch(0, 0)
    split = batch.split(parts)
    assert len(split) == min(parts, len(batch.inputs))
    for word in ("inputs", "targets", "token_ids"):
        assert torch.equal(torch.cat([getattr(part, word) for part in split]), getattr(batch, word))
    assert all(part.token_ids.numel() % part.group_size == 0 for part in split)


def test_digits_show_every_class_and_their_pixels():
    task = make_task(config_of("digits"), CPU)
    labels = task.probe_labels
    assert labels.images.shape == (12, 8, 8) and labels.images.min() == 0 and labels.images.max() == 1
    assert set(labels.group) == set("0123456789")
    assert list(labels.tokens[:5]) == ["1,1", "1,2", "1,3", "1,4", "2,1"]
    assert np.array_equal(labels.images, task.probe.inputs.numpy())


def test_digits_are_split_for_good():
    task = make_task(config_of("digits"), CPU)
    train = {image.tobytes() for image in task._images}
    held_out = [image.numpy().tobytes() for image in task.held_out.inputs]
    assert sum(image in train for image in held_out) / len(held_out) < 0.02


def test_each_cluster_has_a_linear_rule_of_its_own():
    task = make_task(config_of("clusters"), CPU)
    batch = task.held_out
    residual = total = 0.0
    for cluster in range(8):
        chosen = batch.token_ids == cluster
        x, y = batch.inputs[chosen].double(), batch.targets[chosen].double()
        solution = torch.linalg.lstsq(x, y).solution
        residual += float((y - x @ solution).square().sum())
        total += float(y.square().sum())
    assert residual / total < 1e-9
    x, y = batch.inputs.double(), batch.targets.double()
    assert float((y - x @ torch.linalg.lstsq(x, y).solution).square().sum()) / total > 0.3


def test_nmse_is_1_for_the_mean_and_0_for_the_truth():
    task = make_task(config_of("clusters"), CPU)
    mean = task.held_out.targets.mean(0).expand_as(task.held_out.targets)
    assert float(task.metric(mean, task.held_out)) == pytest.approx(1)
    assert float(task.metric(task.held_out.targets, task.held_out)) == 0
    assert task.probe_labels.points.shape == (256, 2)


def test_photos_are_shown_whole_and_trained_on_their_left_two_thirds_only():
    task = make_task(config_of("photo"), CPU)
    assert task.probe_labels.images.shape == (6, 64, 96, 3) and len(task.probe_labels.tokens) == 6 * 8 * 12
    assert list(task.probe_labels.tokens[11:13]) == ["1,12", "2,1"] and len(set(task.probe_labels.group)) == 6
    sizes = load_photos()
    seen = [[set() for _ in sizes] for _ in range(6)]
    for step in range(12):
        batch = task.train_batch(step, 0)
        for image, photo in zip(batch.inputs.numpy(), batch.targets.tolist()):
            size, left = _place(sizes, photo, image)
            assert left + 64 <= sizes[size].shape[2] * 2 // 3
            seen[photo][size].add(left)
    assert all(any(places[size] for places in seen) for size in range(3))
    for image, photo in zip(task.held_out.inputs.numpy(), task.held_out.targets.tolist()):
        size, left = _place(sizes, photo, image)
        assert left >= sizes[size].shape[2] * 2 // 3


def _place(sizes, photo, image):
    """(size, left edge) of a window, found again by its pixels; mirrored ones too."""
    for size, photos in enumerate(sizes):
        windows = np.lib.stride_tricks.sliding_window_view(photos[photo], (64, 64), axis=(0, 1))
        for version in (image, image[:, ::-1]):
            near = np.flatnonzero((windows[..., 0, 0] == version[0, 0]).all(-1))
            for top, left in zip(*np.divmod(near, windows.shape[1])):
                if np.array_equal(windows[top, left].transpose(1, 2, 0), version):
                    return size, left
    raise AssertionError("no such window in this photograph")


def test_a_photo_model_reads_any_grid_and_a_patch_is_cut_where_it_is_drawn():
    task = make_task(config_of("photo"), CPU)
    image = np.arange(16 * 24 * 3, dtype=np.float32).reshape(1, 16, 24, 3)
    cut = patches(torch.from_numpy(image), 8)
    assert cut.shape == (1, 6, 192)
    assert torch.equal(cut[0, 4], torch.from_numpy(image[0, 8:, 8:16].reshape(-1)))
    batch = task.images_batch(image, np.zeros(1, np.int64))
    assert batch.token_ids.tolist() == [0, 1, 2, 8, 9, 10] and batch.group_size == 6
    assert build_model(task.config, task)(batch).shape == (1, 6)
