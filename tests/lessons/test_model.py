"""Lessons as data: every language has the same ones, nothing is missing or out of date, and what is wrong is named by file and line."""

import re

import pytest

from moe_viz.lessons import LessonError, find, load
from moe_viz.lessons.model import DEPTHS, LESSONS, NAME, read_lesson
from moe_viz.ui.i18n import LANGUAGES

ENGLISH = sorted(path.name for path in (LESSONS / "en").glob("*.md"))


def test_there_are_lessons():
    assert ENGLISH and all(NAME.fullmatch(name) for name in ENGLISH)


@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_each_language_has_the_same_files(language):
    assert sorted(path.name for path in (LESSONS / language).glob("*.md")) == ENGLISH


@pytest.mark.parametrize("name", ENGLISH)
@pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
def test_a_translation_has_the_structure_of_the_english_lesson_and_is_of_its_present_text(language, name):
    english, other = read_lesson(LESSONS / "en" / name), read_lesson(LESSONS / language / name)
    assert other.structure == english.structure
    assert other.translates == english.text_hash, (
        f"the English text has changed: translate anew, then write translates: '{english.text_hash}'"
    )


@pytest.mark.parametrize("name", ENGLISH)
def test_a_translation_is_in_its_language(name):
    for text in words_of(read_lesson(LESSONS / "ru" / name)):
        latin, cyrillic = (
            len(re.findall("[A-Za-z]", re.sub(r"\$[^$]*\$|`[^`]*`", "", text))),
            len(re.findall("[А-Яа-я]", text)),
        )
        assert cyrillic >= latin or not re.search("[a-z]{3} [a-z]{3}", text), text
    for text in words_of(read_lesson(LESSONS / "en" / name)):
        assert len(re.findall("[А-Яа-яЁё]", text)) < len(re.findall("[A-Za-z0-9]", text)) + 40, text


def words_of(lesson):
    yield from (lesson.title, lesson.goal, lesson.misconception, lesson.depths["simple"], lesson.depths["student"])
    for exercise in lesson.exercises:
        yield from (exercise.title, exercise.task, exercise.conclusion, exercise.text, *exercise.hints)
        yield from (exercise.prediction.question, exercise.prediction.after, exercise.reference.name)
        yield from (wrong.name for wrong in exercise.wrong)
    for question in lesson.quiz:
        yield from (question.question, question.why)


def test_the_course_is_loaded_in_order_and_english_stands_in_for_a_language_without_it():
    assert [lesson.number for lesson in load("en")] == list(range(1, len(ENGLISH) + 1))
    assert load("xx") == load("en") and load("../en") == load("en")
    assert find("1.1").title == load("en")[0].exercises[0].title and find("1.1", "ru").check == find("1.1").check
    with pytest.raises(KeyError):
        find("99.1")
    for lesson in load("en"):
        assert lesson.depths.keys() == set(DEPTHS)


ANY = LESSONS / "en" / "01-mixture-of-experts.md"


def changed(tmp_path, old, new, name="01-mixture-of-experts.md"):
    text = ANY.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


BROKEN = {
    "a check that is none": ("knob.d_hidden == 32", "knob.d_hiden == 32", "knob.d_hiden"),
    "an unknown word": ("  deadline: 250", "  dead_line: 250", "dead_line"),
    "a bad start": ("n_experts: 1,", "n_experts: 100,", "start"),
    "a knob that the start has not": ("{at: 0, knobs: {lr: 0.01}}", "{at: 0, knobs: {bias_step: 0.01}}", "bias_step"),
    "a prediction that was not measured": ("measured: 2", "measured: 7", "measured"),
    "a word twice": ("  deadline: 250", "  deadline: 250\n  deadline: 250", "twice"),
    "no YAML": ("title: What is", "title: [What is", ""),
    "no whole number": ("deadline: 250", "deadline: soon", "deadline"),
    "an exercise too few": ("- id: '1.1'", "- id: '1.4'", "1.4"),
    "a section missing": ("## 1.2\n", "", "1.2"),
    "a section too many": ("## deep\n", "## deep\n\ntext\n\n## 9.9\n", "9.9"),
    "a section twice": ("## deep\n", "## simple\n", "twice"),
    "no front matter": ("---\n", "", "front matter"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_its_name_the_line_and_the_reason(tmp_path, case):
    old, new, said = BROKEN[case]
    path = changed(tmp_path, old, new)
    with pytest.raises(LessonError) as refused:
        read_lesson(path)
    error = refused.value
    assert str(path) in str(error) and said in str(error) and f"line {error.line}" in str(error)
    lines = path.read_text(encoding="utf-8").split("\n")
    assert 1 <= error.line <= len(lines)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("deadline: 250", "deadline: soon"),
        ("measured: 2", "measured: 'x'"),
        ("knob.d_hidden == 32", "knob.d_hiden == 32"),
    ],
)
def test_the_line_is_that_of_the_fault(tmp_path, old, new):
    path = changed(tmp_path, old, new)
    with pytest.raises(LessonError) as refused:
        read_lesson(path)
    assert new in path.read_text(encoding="utf-8").split("\n")[refused.value.line - 1]


def test_other_names_and_huge_files_are_refused(tmp_path):
    with pytest.raises(LessonError, match="nn"):
        read_lesson(changed(tmp_path, "deadline", "deadline", name="lesson.md"))
    huge = tmp_path / "01-huge.md"
    huge.write_text("---\n" + "a" * 400_000)
    with pytest.raises(LessonError, match="larger"):
        read_lesson(huge)
    huge.write_bytes(b"---\n\xff\xfe\n---\n")
    with pytest.raises(LessonError, match="cannot be read"):
        read_lesson(huge)


def test_controls_say_what_may_be_turned_and_how_far():
    controls = find("3.2").controls
    assert controls.allows("shared_vector", 8.0) and not controls.allows("shared_vector", 9.0)
    assert controls.state_of("balance_coef") == "hidden" and not controls.allows("balance_coef", 0.1)
    everything = find("4.1").controls
    assert everything.allows("noise", 1.0) and not everything.allows("balance_coef", 0.1)
    assert find("2.3").controls.allows("k", 4) and not find("2.3").controls.allows("k", 3)


def test_every_reference_turns_only_what_may_be_turned():
    for lesson in load("en"):
        for exercise in lesson.exercises:
            for turn in exercise.reference.turns:
                words = {"router"} if "router" in turn.knobs else turn.knobs
                assert all(exercise.controls.allows(word, turn.knobs[word]) for word in words), exercise.id
