"""The models: shapes, determinism, the shared vector, generation."""

import pytest
import torch

from moe_viz.models import MODELS, build_model
from moe_viz.spec import TASK_OPTIONS, RunConfig
from moe_viz.tasks import make_task

CPU = torch.device("cpu")


def make(task="domains", **fields):
    config = RunConfig(task=task, **fields)
    data = make_task(config, CPU)
    return data, build_model(config, data)


def test_every_declared_task_has_a_model():
    assert MODELS.keys() == TASK_OPTIONS.keys()


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("n_layers", [1, 3])
def test_one_routing_per_layer_and_gradients_everywhere(task, n_layers):
    data, model = make(task, n_layers=n_layers, n_shared=1)
    batch = data.train_batch(0, 0)
    loss, _ = data.loss(model(batch), batch)
    assert len(model.routings) == len(model.moe_layers) == n_layers
    assert all(routing.n_tokens == batch.token_ids.numel() for routing in model.routings)
    loss.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("task", MODELS)
def test_weights_depend_on_the_seed_only(task):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(task, seed=3)[1].state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second, other = make(task, seed=3)[1].state_dict(), make(task, seed=4)[1].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["shared_direction"], other["shared_direction"])


def test_the_default_language_model_has_333_thousand_parameters():
    _, model = make("domains")
    assert sum(p.numel() for p in model.parameters()) == 333_440


@pytest.mark.parametrize("task", MODELS)
@pytest.mark.parametrize("balanced_start", [True, False])
def test_the_shared_vector_reaches_every_router(task, balanced_start):
    data, model = make({"name": task, "shared_vector": 8.0, "balanced_start": balanced_start})
    assert float(model.shared_vector.norm()) == pytest.approx(8, rel=1e-5)
    model(data.probe)
    shifted = [routing.logits for routing in model.routings]
    model.set_shared_vector(0)
    assert model.shared_vector is None
    model(data.probe)
    gate = model.moe_layers[0].router.gate.weight
    expected = 8 * gate @ model.shared_direction
    assert torch.allclose(shifted[0] - model.routings[0].logits, expected.expand_as(shifted[0]), atol=1e-5)
    assert (float(expected.detach().abs().max()) < 1e-5) == balanced_start


@pytest.mark.parametrize("task", ["domains", "digits", "photo"])
def test_experts_of_real_networks_do_not_see_the_shared_vector(task):
    # With the direction projected out of every gate, nothing is left that could feel it.
    data, model = make(task)
    outputs = model(data.probe)
    model.set_shared_vector(8)
    assert torch.allclose(model(data.probe), outputs, atol=1e-5)


def test_experts_of_the_controlled_model_see_the_shared_vector():
    data, model = make("clusters")
    outputs = model(data.probe)
    model.set_shared_vector(8)
    assert (model(data.probe) - outputs).abs().max() > 0.1


def test_a_dropped_token_passes_the_language_model_but_is_zero_without_residual():
    data, model = make("clusters", router={"name": "switch", "capacity_factor": 0.25})
    outputs = model(data.probe)
    dropped = model.routings[0].dropped
    assert dropped.any() and not outputs[dropped].any()
    data, model = make("domains", router={"name": "switch", "capacity_factor": 0.25})
    outputs = model(data.probe)
    assert model.routings[0].dropped.any() and outputs.abs().sum(-1).min() > 0


@pytest.mark.parametrize("tokenizer", ["bytes", "bpe"])
def test_generation_is_repeatable_and_leaves_training_alone(tokenizer):
    data, model = make({"name": "domains", "tokenizer": tokenizer, "block": 16})
    model.train()
    prompt = data.encode("def свет(")
    draws = [model.generate(prompt, 30, 1.0, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert len(draws[0]) == len(prompt) + 30 and torch.equal(draws[0][: len(prompt)], prompt)
    assert model.training and model.routings == []
    greedy = model.generate(prompt, 1, 0.0)
    with torch.no_grad():
        batch = data.ids_batch(prompt[-16:])
        assert greedy[-1] == model.eval()(batch)[-1].argmax()


@pytest.mark.parametrize("length, temperature", [(0, 1.0), (3, -1.0)])
def test_generation_refuses_nonsense(length, temperature):
    _, model = make("domains")
    with pytest.raises(ValueError, match=f"not {length} tokens at {temperature}"):
        model.generate(torch.zeros(length, dtype=torch.int64), 1, temperature)


def test_a_sequence_longer_than_the_positions_is_refused():
    _, model = make({"name": "domains", "block": 16})
    data, _ = make({"name": "domains", "block": 32})
    with pytest.raises(ValueError, match="32 tokens is longer than the model's 16"):
        model(data.train_batch(0, 0))
