"""Every exercise of the course by real training, without a browser: its reference solves it, its first wrong solution does not.

One seed; points, and what begins at a trained text or image model once each. The rest is in `make course` (all wrong solutions, two seeds).
"""

import pytest

from moe_viz.course import Starts, play
from moe_viz.lessons import load

EXERCISES = [exercise for lesson in load("en") for exercise in lesson.exercises]
STARTS = Starts()
"""Warmed-up models, made once for all exercises that begin alike."""


def slow(exercise):
    """Trains a text or image model: seconds of a free core."""
    config = exercise.config
    return config is not None and config.task.name != "clusters"


QUICK = [exercise for exercise in EXERCISES if not slow(exercise)]
SLOW = [exercise for exercise in EXERCISES if slow(exercise)]
"""Those that begin at a model of 200 steps share it; others train anew, and stand in the nightly part."""
SHARED = [exercise for exercise in SLOW if exercise.warm_up is not None and exercise.warm_up.steps == 200]
OWN = [exercise for exercise in SLOW if exercise not in SHARED]


def id_of(exercise):
    return exercise.id


def test_there_are_forty_exercises_and_38_questions():
    assert len(EXERCISES) == 40 and sum(len(lesson.quiz) for lesson in load("en")) == 38


@pytest.mark.parametrize("exercise", [*QUICK, *SHARED], ids=id_of)
def test_the_reference_solves_it_and_a_wrong_solution_does_not(exercise):
    solution = play(exercise, exercise.reference, 0, STARTS)
    assert solution.solved is not None, (solution.metrics, solution.given)
    assert solution.solved <= exercise.deadline
    wrong = play(exercise, exercise.wrong[0], 0, STARTS)
    assert wrong.solved is None, (wrong.metrics, wrong.given)


@pytest.mark.nightly
@pytest.mark.parametrize("exercise", OWN, ids=id_of)
def test_the_reference_of_a_long_exercise_solves_it(exercise):
    assert play(exercise, exercise.reference, 0, STARTS).solved is not None


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("exercise", EXERCISES, ids=id_of)
def test_no_wrong_solution_solves_it(exercise, seed):
    """A solution that fails in nine seeds of ten may pass in one: two seeds are asked, and one of them must fail."""
    for wrong in exercise.wrong:
        if play(exercise, wrong, seed, STARTS).solved is not None:
            assert play(exercise, wrong, seed + 2, STARTS).solved is None, wrong.name
