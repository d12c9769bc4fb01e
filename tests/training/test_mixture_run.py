"""The fit of a mixture as a run: it is a pure function of its script, whatever method it is fitted by, and its figures are those measured."""

import numpy as np
import pytest

from moe_viz.records.script_file import read_script, write_script
from moe_viz.spec import MixtureConfig, RunConfig
from moe_viz.spec.points import encode_points
from moe_viz.training import MixtureRun, Trainer, runs
from moe_viz.training.files.figures import NOT_COMPARED
from moe_viz.training.verify import IDENTICAL, REFUTED, verify

OWN = encode_points([(10 * i, 40 + 170 * (i % 2), 0) for i in range(25)])
WAYS = [
    {"method": "em"},
    {"method": "hard_em", "data": "nile", "expert": "constant_gaussian"},
    {"method": "gradient", "data": "pieces", "n_experts": 4, "tree": True},
    {"method": "adam", "error": "cooperative"},
    {"method": "ascent", "error": "competitive", "data": "clumps", "start": "mean", "expert": "constant_gaussian"},
]


def same(a, b):
    return a.script.end.parameters == b.script.end.parameters


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["method"])
def test_a_fit_goes_on_from_its_checkpoint_as_if_nothing_had_been(way):
    fit = MixtureRun(MixtureConfig(**way))
    fit.run(6)
    again = runs.of(type(fit).from_bytes(fit.checkpoint()).moment())
    assert again.frame_steps() == list(range(7)) and same(fit, again)
    fit.run(5)
    again.run(5)
    assert same(fit, again)
    for name, values in vars(fit.picture(3)).items():
        assert np.array_equal(values, getattr(again.picture(3), name)), name


@pytest.mark.parametrize("way", WAYS[:1] + WAYS[3:4], ids=lambda way: way["method"])
def test_a_fit_is_a_pure_function_of_its_script(way, tmp_path):
    fit = MixtureRun(MixtureConfig(**way))
    fit.run(4)
    fit.set(points=OWN)
    fit.run(3)
    fit.set(seed=3)
    fit.run(2)
    fit.reset()
    fit.run(5)
    script = read_script(write_script(fit.script_with_figures))
    assert (script.kind, fit.epoch) == ("mixture", 2)
    again = runs.play(script)
    while not again.finished:
        again.advance(3)
    mine, theirs = (run.history.rows().drop(columns="seconds") for run in (fit, again.run))
    assert same(fit, again.run) and mine.equals(theirs)
    path = tmp_path / "fit.script.json"
    path.write_text(write_script(script))
    assert verify(path).answer == IDENTICAL
    row = script.figures.rows[-1]
    row[2] += 0.001
    path.write_text(write_script(script))
    assert verify(path).answer == REFUTED


def test_the_time_that_a_fit_took_is_never_compared():
    fit = MixtureRun(MixtureConfig())
    fit.run(2)
    assert "seconds" in fit.history.columns
    assert not set(fit.script_with_figures.figures.columns) & set(NOT_COMPARED)


def test_a_script_is_played_as_what_it_is_whoever_plays_it():
    fit = MixtureRun(MixtureConfig())
    fit.run(2)
    again = Trainer.play(fit.script)
    again.advance(9)
    assert isinstance(again.run, MixtureRun) and same(fit, again.run)
    with pytest.raises(ValueError, match="kind"):
        read_script(write_script(fit.script).replace('"kind": "mixture"', '"kind": "network"'))


def test_two_eruptions_part_and_the_blend_goes_where_hardly_one_is():
    fit = MixtureRun(MixtureConfig())
    fit.run(60)
    metrics, picture = fit.snapshot().metrics, fit.picture()
    assert metrics["near_expert"] == pytest.approx(0.63, abs=0.01)
    assert metrics["near_blend"] == pytest.approx(0.06, abs=0.01)
    short, long = sorted(np.interp(85, picture.grid, line) for line in picture.lines)
    assert short == pytest.approx(2.0, abs=0.05) and long == pytest.approx(4.07, abs=0.1)
    assert sorted(picture.spread[:, 0]) == pytest.approx([0.23, 0.39], abs=0.01)
    start = fit.picture(0)
    assert abs(start.lines[0] - start.lines[1]).max() < 0.75 < abs(picture.lines[0] - picture.lines[1]).min()


def test_the_niles_slope_becomes_a_cliff_between_1898_and_1899():
    fit = MixtureRun(MixtureConfig(data="nile", expert="constant_gaussian"))
    fit.run(1)
    high = int(fit.picture().lines[:, 0].argmax())
    slope = fit.picture().prior[:, high]
    assert 0.5 < slope[27] < 0.9  # 1898: undecided
    fit.run(59)
    high = int(fit.picture().lines[:, 0].argmax())
    cliff = fit.picture().prior[:, high]
    assert cliff[27] > 0.95 and cliff[28] < 0.05
    assert sorted(fit.picture().lines[:, 0]) == pytest.approx([850, 1098], abs=1)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_the_gap_between_two_experts_grows_by_the_law(sigma):
    config = MixtureConfig(data="clumps", start="mean", expert="constant_gaussian", error="competitive", method="ascent",
                           lr=0.5, sigma=sigma, apart=0.0001)  # fmt: skip
    fit = MixtureRun(config)
    before = fit.snapshot().metrics["gap"]
    fit.run(1)
    assert fit.snapshot().metrics["gap"] / before == pytest.approx(1 + 0.5 * (1 / sigma**2 - 1) / 2, abs=1e-3)
    fit.run(400)
    assert (fit.snapshot().metrics["gap"] > 1) == (sigma < 1)


def test_a_fit_rests_after_its_iterations_and_goes_on_with_what_the_reader_moves():
    fit = MixtureRun(MixtureConfig(iterations=5))
    fit.run(5)
    assert fit.at_rest
    fit.set(speed=20)
    assert fit.at_rest
    fit.set(points=OWN)
    assert not fit.at_rest and fit.step_number == 5 and len(fit.picture().x) == 25
    fit.run(5)
    assert MixtureRun.from_bytes(fit.checkpoint()).at_rest


def test_steps_too_large_end_in_the_last_sound_moment():
    fit = MixtureRun(MixtureConfig(data="sides", method="ascent", error="cooperative", lr=10.0))
    fit.run(400)
    assert fit.state == "diverged" and np.isfinite(fit.picture().lines).all()
    fit.set(lr=0.01)
    fit.run(3)
    again = MixtureRun.replay(fit.script)
    assert fit.state == "running" and same(fit, again)


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"error": "cooperative"}, "cooperative"),
        ({"error": "competitive", "method": "adam", "expert": "laplace"}, "laplace"),
        ({"tree": True, "n_experts": 3}, "3"),
        ({"points": "!"}, "painted"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(knobs, word):
    with pytest.raises(ValueError, match=word):
        MixtureConfig(**knobs)


def test_the_two_kinds_of_configs_share_no_flat_form():
    assert "data" not in RunConfig().flat() and "task" not in MixtureConfig().flat()
