"""The course in a real browser: an exercise failed once and then solved by real training, by keyboard alone; quiz, progress and worksheet."""

import pytest
from playwright.sync_api import expect

from moe_viz.lessons import find, load
from tests.browser.lab import NARROW, accessibility_faults, browser_page, wait_until_at_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
SLOW = 60_000
FITS = "document.querySelector('[data-testid=stMain]').scrollWidth <= innerWidth"


def press(page, name):
    """A button, by keyboard."""
    button = page.get_by_role("button", name=name, exact=True)
    expect(button).to_be_enabled(timeout=SLOW)
    button.focus()
    page.keyboard.press("Enter")


def slide(page, key, *keys, shows):
    """A slider, by keyboard."""
    slider = page.locator(f".st-key-{key} input[type=range]")
    # a knob that is turned while the page is still drawn anew may lose a turn
    page.wait_for_function("document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'")
    wait_until_at_rest(page)
    slider.focus()
    for one in keys:
        page.keyboard.press(one)
    expect(page.locator(f".st-key-{key}")).to_contain_text(shows, timeout=SLOW)


def test_an_exercise_is_failed_and_then_solved_by_keyboard_alone(address):
    exercise = find("1.1")
    with browser_page() as page:
        page.goto(f"{address}/course?lesson=1&exercise=1")
        begin = page.get_by_role("button", name="Begin", exact=True)
        expect(begin).to_be_disabled(timeout=SLOW)
        assert begin.locator("p").evaluate("e => getComputedStyle(e).color") != "rgb(255, 255, 255)", "white on white"
        page.get_by_role("radio", name=exercise.prediction.options[0], exact=True).focus()
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        press(page, "Begin")
        terms = page.locator(".st-key-course_terms")
        expect(terms).to_contain_text("0 of 250 steps", timeout=SLOW)
        slide(page, "speed", "End", shows="full")
        press(page, "Play")
        expect(terms).to_contain_text("Not in 250 steps", timeout=SLOW)
        expect(page.locator(".st-key-course_conclusion")).to_have_count(0)
        press(page, "A hint (1 of 3)")
        expect(page.get_by_text(exercise.hints[0])).to_be_visible(timeout=SLOW)
        press(page, "Begin again")
        expect(terms).to_contain_text("0 of 250 steps", timeout=SLOW)
        slide(page, "n_experts", *["ArrowRight"] * 3, shows="8")
        slide(page, "balance_coef", *["ArrowRight"] * 5, shows="0.1")
        press(page, "Play")
        conclusion = page.locator(".st-key-course_conclusion")
        expect(conclusion).to_contain_text("Solved after", timeout=2 * SLOW)
        prediction = page.locator(".st-key-course_prediction")
        expect(prediction).to_contain_text(exercise.prediction.options[exercise.prediction.measured])
        expect(prediction).to_contain_text("Measured")
        page.wait_for_function("localStorage.getItem('moe_viz_course')?.includes('\"1.1\"')", timeout=SLOW)
        assert accessibility_faults(page) == []
        page.reload()
        expect(page.get_by_text("✓ 1.1")).to_be_visible(timeout=SLOW)
        page.evaluate("localStorage.clear()")


def test_on_a_phone_quiz_answers_are_explained_can_be_changed_and_the_worksheet_prints(address):
    lesson = load("ru")[0]
    question = lesson.quiz[0]
    wrong = next(n for n in range(len(question.options)) if n != question.right)
    with browser_page(NARROW, scheme="dark") as page:
        page.goto(f"{address}/course?lesson=1&exercise=quiz&lang=ru")
        quiz = page.locator(".st-key-quiz_1_0")
        quiz.get_by_text(question.options[wrong], exact=True).click(timeout=SLOW)
        expect(page.locator(".st-key-course_text")).to_contain_text("Не так", timeout=SLOW)
        quiz.get_by_text(question.options[question.right], exact=True).click()
        expect(page.locator(".st-key-course_text")).to_contain_text("Верно.", timeout=SLOW)
        page.wait_for_function(FITS, timeout=SLOW)
        expect(page.locator(".worksheet")).to_be_hidden()
        page.emulate_media(media="print")
        expect(page.locator(".worksheet")).to_be_visible()
        expect(page.locator(".worksheet")).to_contain_text(lesson.exercises[0].prediction.options[0])
        assert question.why not in page.locator(".worksheet").inner_text()
        expect(quiz).to_be_hidden()
        page.emulate_media(media="screen")
        page.evaluate("localStorage.clear()")


def test_a_link_to_an_exercise_that_does_not_exist_says_so(address):
    with browser_page() as page:
        page.goto(f"{address}/course?lesson=77&exercise=1")
        expect(page.get_by_text("no exercise 77.1")).to_be_visible(timeout=SLOW)
        expect(page.locator(".st-key-open_1 button")).to_be_visible()
