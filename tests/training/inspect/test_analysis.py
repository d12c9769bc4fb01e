"""The analysis: a fixed held-out batch, labels that are token ids, switched-off experts against the long way round."""

import numpy as np
import pytest
import torch

from moe_viz.records import specialisation
from moe_viz.training import Trainer
from tests.training.conftest import small


@pytest.fixture(scope="module")
def run():
    trainer = Trainer(small("domains", router={"name": "deepseek_v3", "k": 2}))
    for _ in range(3):
        trainer.run(4)
        trainer.snapshot()
    return trainer


@pytest.mark.parametrize(("task", "least"), [("domains", 8), ("digits", 12), ("photo", 6), ("clusters", 100)])
def test_the_batch_is_large_enough_to_shuffle_sequences_and_never_changes(task, least):
    first, other = (Trainer(small(task, seed=0)).analyse().traces[0] for _ in range(2))
    assert specialisation.shuffles_sequences(first)
    sequences = {g: len(np.unique(first.sequence[first.group == g])) for g in set(first.group)}
    assert min(sequences.values()) >= least
    assert (first.tokens == other.tokens).all() and (first.expert == other.expert).all()


def test_labels_name_token_ids_one_to_one(run):
    batch, labels = run.task.analysis
    ids = batch.token_ids.numpy()
    assert len(set(zip(ids.tolist(), labels.tokens.tolist()))) == len(set(ids.tolist())) == len(set(labels.tokens))
    assert "<d0>" in labels.tokens and "⏎" in labels.tokens


def test_analysing_changes_nothing_and_is_kept_for_its_step():
    plain, looked = (Trainer(small("digits")) for _ in range(2))
    for trainer in (plain, looked):
        trainer.run(3)
    assert looked.analyse() is looked.analyse()
    looked.switch_off(3, 0, 1)
    for trainer in (plain, looked):
        trainer.run(3)
    states = [trainer.model.state_dict() for trainer in (plain, looked)]
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values()))
    assert looked.analyse().step == 6


def test_switching_off_equals_zeroed_weights_of_that_expert(run):
    step, layer, expert = run.step_number, 1, 3
    base, off = run.switch_off(run.analyse().step, layer, None), run.switch_off(step, layer, expert)
    batch, _labels = run.task.analysis
    with torch.no_grad():
        run.model.eval()
        whole = run.task.loss(run.model(batch), batch)[1].reshape(len(base), -1).mean(1)
        run.model.moe_layers[layer].experts.w2[expert], kept = 0, run.model.moe_layers[layer].experts.w2[expert].clone()
        without = run.task.loss(run.model(batch), batch)[1].reshape(len(base), -1).mean(1)
        run.model.moe_layers[layer].experts.w2[expert] = kept
        run.model.train()
    assert base == pytest.approx(whole.numpy(), rel=1e-5) and off == pytest.approx(without.numpy(), rel=1e-5)
    assert (base != off).any()


def test_all_answers_belong_to_the_analysed_step():
    trainer = Trainer(small("digits"))
    trainer.run(2)
    trainer.analyse()
    before = trainer.switch_off(2, 0, 0)
    trainer.run(2)
    assert (trainer.switch_off(2, 0, 0) == before).all(), "the run went on, the copy did not"
    with pytest.raises(ValueError, match="step = 4"):
        trainer.switch_off(4, 0, 0)
    with pytest.raises(ValueError, match="layer = 9"):
        trainer.switch_off(2, 9, 0)
    with pytest.raises(ValueError, match="expert = 8"):
        trainer.switch_off(2, 0, 8)
    trainer.reset()
    with pytest.raises(ValueError, match="analyse the run again"):
        trainer.switch_off(2, 0, 0)


def test_geometry_by_hand():
    trainer = Trainer(small("clusters", n_experts=4, router="switch"))
    layer = trainer.model.moe_layers[0]
    with torch.no_grad():
        layer.router.gate.weight.copy_(torch.eye(4, 16))
        layer.router.gate.weight[1] = -2 * layer.router.gate.weight[0]
        layer.experts.w1[1], layer.experts.w2[1] = layer.experts.w1[0], layer.experts.w2[0]
        layer.experts.w1[2], layer.experts.w2[2] = -layer.experts.w1[0], -layer.experts.w2[0]
    (seen,) = trainer.analyse().geometry
    assert seen.router_cosine[0, :3] == pytest.approx([1, -1, 0])
    assert seen.expert_distance[0, :3] == pytest.approx([0, 0, 2**0.5], abs=1e-5)
    assert 0.9 < seen.expert_distance[0, 3] < 1.1


def test_change_and_bias_over_time(run):
    seen = run.analyse()
    assert seen.change["step"].tolist() == [4, 8, 12, 4, 8, 12]
    last = seen.change[seen.change["step"] == 12]
    assert (last["saturation"] == 1).all() and (last["settled"] == 1).all()
    assert seen.bias["step"].tolist() == [4, 8, 12] and seen.bias.shape[1] == 1 + 2 * 8
    final = run.model.moe_layers[1].router.bias.numpy()
    assert seen.bias.iloc[-1][[f"bias.1.{i}" for i in range(8)]].to_numpy(float) == pytest.approx(final)


@pytest.mark.parametrize("router", ["soft", "hash", "expert_choice", "kmeans", "base", "hierarchical", "nllb"])
def test_every_family_can_be_analysed(router):
    trainer = Trainer(small("digits", router=router))
    trainer.run(2)
    seen = trainer.analyse()
    assert (seen.geometry[0].router_cosine is None) == (router == "hash")
    assert trainer.switch_off(2, 0, 0).shape == (240,)
