"""A worksheet holds tasks and choices, no answers, and nothing of a lesson's text is read as markup."""

from moe_viz.lessons import load
from moe_viz.ui.course.worksheet import html


def test_it_has_every_task_and_choice_and_gives_no_answer_away():
    for lesson in load("en"):
        sheet = html(lesson)
        assert sheet.count("<section>") == len(lesson.exercises) + len(lesson.quiz)
        assert sheet.count("☐") == sum(len(one.prediction.options) for one in lesson.exercises) + sum(
            len(one.options) for one in lesson.quiz
        )
        assert not any(one.prediction.after in sheet or one.hints[0] in sheet for one in lesson.exercises)


def test_what_a_lesson_says_is_no_markup():
    lesson = load("en")[0].model_copy(update={"title": "<img src=x onerror=alert(1)> & **bold**"})
    sheet = html(lesson)
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; bold" in sheet and "<img" not in sheet
