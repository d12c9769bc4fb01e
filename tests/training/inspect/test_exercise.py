"""What an exercise measures: each quantity against a case worked out by hand, and that measuring leaves the run as it was."""

import math

import numpy as np
import pytest
import torch

from moe_viz.records.metric_info import METRICS
from moe_viz.records.metrics import experts_touched
from moe_viz.records.specialisation import place_information, routes_changed_before, share_to
from moe_viz.records.trace import RoutingTrace
from moe_viz.spec import RunConfig
from moe_viz.training.inspect import exercise
from moe_viz.training.run import Run


def trace(expert, kept=None, position=None, n_experts=4):
    """A trace of these experts [T, K]; -1 = none."""
    expert = np.array(expert, np.int16)
    n, k = expert.shape
    return RoutingTrace(
        0,
        0,
        "topk",
        None,
        tokens=np.array(["x"] * n),
        group=np.array(["g"] * n),
        sequence=np.zeros(n, np.int32),
        position=np.arange(n, dtype=np.int32) if position is None else np.array(position, np.int32),
        expert=expert,
        weight=np.ones((n, k), np.float32),
        kept=expert >= 0 if kept is None else np.array(kept),
        slot=np.zeros((n, k), np.int32),
        probs=np.full((n, n_experts), 1 / n_experts, np.float32),
    )


def test_experts_touched_is_the_mean_of_whole_groups():
    one = trace([[0], [0], [1], [2], [3]])
    # groups of two: {0}, {1, 2}; the fifth token stands in no whole group
    assert experts_touched(one, 2) == 1.5
    assert experts_touched(one, 1) == 1 and experts_touched(one, 5) == 4
    assert math.isnan(experts_touched(one, 6))
    assert experts_touched(trace([[0, -1], [1, 2]]), 2) == 3


def test_place_information_is_one_where_the_expert_gives_the_place_away_and_zero_where_it_does_not():
    assert place_information(trace([[0], [1], [0], [1]], position=[0, 1, 0, 1])) == pytest.approx(1)
    assert place_information(trace([[0], [0], [1], [1]], position=[0, 1, 0, 1])) == pytest.approx(0)


def test_share_to_counts_first_choices():
    assert share_to(trace([[0, 1], [1, 2], [2, 3], [1, 3]]), 1) == 0.5


def test_routes_changed_before_counts_tokens_whose_experts_or_slots_change_in_any_layer():
    before = [trace([[0, 1], [1, 2], [2, 3], [3, 0]]), trace([[0, 1]] * 4)]
    swapped = [trace([[1, 0], [1, 2], [2, 3], [0, 1]]), trace([[0, 1]] * 4)]
    assert routes_changed_before(before, swapped, 3) == 0, (
        "the order of two choices, and what comes after the edit, do not count"
    )
    kept = np.array([[1, 0], [1, 1], [1, 1], [1, 1]], bool)
    lost = [trace([[0, 1], [1, 2], [2, 3], [3, 0]], kept=kept), trace([[0, 1], [0, 2], [0, 1], [0, 1]])]
    assert routes_changed_before(before, lost, 4) == 0.5, (
        "token 0 loses a slot in layer 0, token 1 changes an expert in layer 1"
    )
    assert routes_changed_before(before, lost, 0) is None


def test_an_assignment_s_loss_is_the_mean_of_its_entries_and_the_best_one_is_found():
    # two tokens, two experts; last column: no expert
    matrix = np.array([[1.0, 5.0, 3.0], [2.0, 9.0, 4.5]])
    assert exercise.assignment_loss(matrix, np.array([1, 2])) == 5
    assert exercise.assignment_loss(matrix, np.array([0, 1])) == 2.5
    # one slot each: token 1 into expert 1 and token 0 left out is (2 + 3) / 2, better than any that seats both
    assert exercise.best_assignment(matrix, 1).tolist() == [0, 1]
    assert exercise.best_assignment(matrix, 2).tolist() == [1, 1]
    assert all((np.bincount(one, minlength=5)[1:] == 3).all() for one in exercise.random_assignments(12, 4, 3, 5))


@pytest.fixture(scope="module")
def run():
    run = Run(
        RunConfig.from_flat(
            {"task": "clusters", "n_clusters": 4, "n_experts": 4, "router": "topk", "k": 2, "device": "cpu"}
        )
    )
    run.run(20)
    return run


def hash_of(run):
    return run.script.end.parameters


def test_looking_fills_the_newest_row_and_leaves_the_run_as_it_was(run):
    before, random = hash_of(run), torch.random.get_rng_state()
    found = exercise.look(
        run, ["task_metric", "unserved", "experts_touched", "domain_information", "router_task_gradient"]
    )
    assert hash_of(run) == before and torch.equal(random, torch.random.get_rng_state())
    row = run.history.rows(limit=None).iloc[-1]
    assert row["experts_touched.16"] == pytest.approx(found["experts_touched"]["16"])
    assert row["domain_information.0"] == pytest.approx(found["domain_information"][0])
    assert row["unserved"] == found["unserved"] == 0
    assert (
        row["router_task_gradient.0"] == pytest.approx(found["router_task_gradient"][0])
        and found["router_task_gradient"][0] > 0
    )
    with pytest.raises(ValueError, match="cannot be looked at"):
        exercise.look(run, ["loss"])


def test_everything_that_is_looked_at_is_a_defined_metric(run):
    found = exercise.look(run, list(exercise.LOOKED_AT))
    assert found.keys() == exercise.LOOKED_AT.keys() <= METRICS.keys()
    assert found["domain_null"][0] >= found["domain_null_mean"][0] >= 0


def test_a_gate_of_weight_one_gets_no_gradient_from_the_task():
    run = Run(RunConfig.from_flat({"task": "clusters", "router": "hard", "device": "cpu"}))
    run.run(2)
    assert exercise.router_task_gradient(run) == [0.0]
    run.set(straight_through=True)
    assert exercise.router_task_gradient(run)[0] > 0
    run.set(router="hash")
    assert exercise.router_task_gradient(run) == [None]


def test_routes_asked_for_at_a_step_are_in_the_history(run):
    row = run.history.rows(limit=None).iloc[-1]
    asked = [row[f"asked.0.{expert}"] for expert in range(4)]
    assert sum(asked) == 2 * run.config.batch_tokens


def test_a_paused_measurement_leaves_no_knob_turned(run):
    before, step, k = hash_of(run), run.step_number, run.config.router.k
    found = exercise.paused(run, {"k=1": {"k": 1}, "k=2": {"k": 2}}, ["task_metric"])
    assert (hash_of(run), run.step_number, run.config.router.k) == (before, step, k)
    assert found["k=2"]["task_metric"] == run.snapshot().metrics["task_metric"] != found["k=1"]["task_metric"]
    with pytest.raises(ValueError, match="n_experts"):
        exercise.paused(run, {"more": {"n_experts": 8}}, ["task_metric"])
    with pytest.raises(ValueError, match="16"):
        exercise.paused(run, {str(n): {} for n in range(17)}, ["task_metric"])


def test_the_loss_matrix_adds_up_to_the_loss_of_the_model_s_own_choice():
    run = Run(RunConfig.from_flat({"task": "clusters", "router": "switch", "device": "cpu"}))
    run.run(20)
    matrix = exercise.loss_matrix(run, 12)
    held = run.task.held_out
    batch = type(held)(held.inputs[:12], held.targets[:12], held.token_ids[:12], 12)
    with torch.no_grad():
        run.model.eval()
        outputs = run.model(batch)
        chosen = run.model.routings[0].probs.argmax(1).numpy() + 1
        run.model.train()
    mine = (outputs - batch.targets).square().mean().item()
    assert exercise.assignment_loss(matrix, chosen) == pytest.approx(mine, rel=1e-5)
    assert matrix[:, -1] == pytest.approx(batch.targets.square().mean(1).numpy(), rel=1e-5)


@pytest.mark.parametrize("answer", [[1] * 12, [1, 2, 3], [9] * 12, [-1] * 12])
def test_an_assignment_that_is_none_is_refused(run, answer):
    with pytest.raises(ValueError):
        exercise.assignments(run, answer, 12, 3)


def test_the_queue_by_hand_has_all_first_choices_before_all_second_ones():
    run = Run(
        RunConfig.from_flat(
            {
                "task": "clusters",
                "n_clusters": 4,
                "n_experts": 4,
                "router": "topk",
                "k": 2,
                "capacity_factor": 1.0,
                "batch_tokens": 16,
                "device": "cpu",
            }
        )
    )
    found = exercise.by_hand(run)
    logits = np.array(found["logits"])
    assert logits.shape == (16, 4) and found["capacity"] == 8 and len(found["truth"]) == 6
    order = np.argsort(-logits, axis=1)[:, :2]
    for number, (expert, weight, place, kept) in enumerate(found["truth"]):
        token, choice = found["marked"][number // 2], number % 2
        assert expert == order[token, choice] + 1
        queue = [(c, t) for c in (0, 1) for t in range(16) if order[t, c] == expert - 1]
        assert place == queue.index((choice, token)) + 1 and kept == (place <= 8)
        two = np.exp(logits[token, order[token]])
        assert weight == pytest.approx(two[choice] / two.sum(), abs=0.002)


def test_a_measurement_is_asked_for_by_its_kind(run):
    assert exercise.measured(run, "knobs", settings={"k=1": {"k": 1}}, columns=["unserved"]) == {
        "k=1": {"unserved": 0.0}
    }
    assert len(exercise.measured(run, "matrix", tokens=5)["loss"]) == 5
    for kind, wanted in (
        ("loss", {}),
        ("knobs", {"step": 3}),
        ("knobs", {"settings": {"a": {"nothing": 1}}, "columns": ["unserved"]}),
    ):
        with pytest.raises(ValueError):
            exercise.measured(run, kind, **wanted)
    with pytest.raises(ValueError, match="not text"):
        exercise.measured(run, "edit", settings={}, text="a", after="b")


def test_texts_are_edited_and_shared_on_a_language_model():
    run = Run(RunConfig.from_flat({"task": "domains", "router": "expert_choice", "batch_tokens": 64, "device": "cpu"}))
    settings = {"seen": {}, "table": {"router": "hash"}}
    found = exercise.edited(run, settings, "one small text", "one small tail")
    assert found["table"] == {"routes_changed_before": 0.0} and found["seen"]["routes_changed_before"] is not None
    assert exercise.edited(run, {"seen": {}}, "one", "two")["seen"]["routes_changed_before"] is None, (
        "nothing is before the first letter"
    )
    for pair in (("same", "same"), ("short", "longer one")):
        with pytest.raises(ValueError):
            exercise.edited(run, settings, *pair)
    shares = exercise.shares(run, "Russian", 0, {"a": "Привет", "b": "hello"})
    assert all(0 <= one["share_to"] <= 1 for one in shares.values())
