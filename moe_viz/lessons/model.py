"""The course as data: lessons, exercises, quiz. One schema for every language; `load` reads `assets/lessons/<language>/<nn>-<slug>.md`.

A file that is not as it should be is refused with its name, the line and the reason. What a file says in words may differ between
languages; all else must be the same, see `Lesson.structure`.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from moe_viz import paths
from moe_viz.lessons.check_parser import CheckError, looked_at, read_check
from moe_viz.lessons.lesson_files import LessonError, LessonFile, read_lesson_file
from moe_viz.spec import RunConfig, change, plain

LESSONS = paths.ASSETS / "lessons"
NAME = re.compile(r"(\d\d)-([a-z0-9]+(?:-[a-z0-9]+)*)\.md")
DEPTHS = ("simple", "student", "deep")
ALL_KNOBS = "*"
"""Among the shown controls: every knob that is neither locked nor hidden."""
Scalar = bool | int | float | str | None
Knobs = dict[str, Scalar]


def _one_line(text: Any) -> Any:
    return " ".join(text.split()) if isinstance(text, str) else text


Words = Annotated[str, BeforeValidator(_one_line), Field(min_length=1, max_length=1200)]
"""Visible text, Markdown of one paragraph."""


class Part(BaseModel):
    """Base of every part of a lesson: immutable, refuses unknown words."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limit(Part):
    """What a control may be set to here: from `least` to `most` in steps of `step`, or one of `values`."""

    least: float | None = None
    most: float | None = None
    step: float | None = None
    values: tuple[Scalar, ...] | None = None


class Controls(Part):
    """Knobs of an exercise. shown: may be turned (`*`: all others);  locked: seen, not turned;  hidden: out of sight. What is in none is hidden.

    limits: word -> what it may be set to
    """

    shown: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    limits: dict[str, Limit] = {}

    def state_of(self, word: str) -> Literal["shown", "locked", "hidden"]:
        """What becomes of a knob."""
        if word in self.locked:
            return "locked"
        if word in self.hidden:
            return "hidden"
        return "shown" if word in self.shown or ALL_KNOBS in self.shown else "hidden"

    def allows(self, word: str, value: Scalar) -> bool:
        """Whether a knob may be turned to this value here."""
        limit = self.limits.get(word, Limit())
        if self.state_of(word) != "shown" or (limit.values is not None and value not in limit.values):
            return False
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        return (limit.least is None or value >= limit.least) and (limit.most is None or value <= limit.most)


class WarmUp(Part):
    """What is trained before the exercise begins: so many steps, with these knobs otherwise than at its start."""

    steps: int = Field(ge=1, le=2000)
    knobs: Knobs = {}


class Prediction(Part):
    """Asked before, compared after. measured: number of the option that was measured, from 0;  after: what to say when it is compared."""

    question: Words
    options: tuple[Words, ...] = Field(min_length=2, max_length=6)
    measured: int = Field(ge=0)
    after: Words

    @model_validator(mode="after")
    def _is_an_option(self) -> Prediction:
        if self.measured >= len(self.options):
            raise ValueError(f"measured = {self.measured} is none of the {len(self.options)} options")
        return self


class Answer(Part):
    """What the student gives, in `given.answer`.

    choice   one of `values` (with `labels` in words);  choices  `count` of them, in order
    numbers  one number per label;  table  a row per row label, a column per column label (kinds: `columns`)
    slots    which expert each of `count` tokens is put to, 0 = left out
    """

    kind: Literal["choice", "choices", "numbers", "table", "slots"]
    question: Words
    values: tuple[Scalar, ...] = ()
    labels: tuple[Words, ...] = ()
    count: int = Field(1, ge=1, le=64)
    columns: tuple[Literal["whole", "number", "bool"], ...] = ()
    column_labels: tuple[Words, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Answer:
        if self.kind in ("choice", "choices") and len(self.values) != len(self.labels):
            raise ValueError(f"{len(self.values)} values, but {len(self.labels)} labels")
        if self.kind == "table" and len(self.columns) != len(self.column_labels):
            raise ValueError(f"{len(self.columns)} columns, but {len(self.column_labels)} labels")
        return self


class Edit(Part):
    """Texts that the student writes, in `given.edit`. kind pair: one text and the same edited, of equally many tokens;  texts: one per label.

    texts  what stands there at first
    """

    kind: Literal["pair", "texts"]
    labels: tuple[Words, ...] = Field(min_length=1, max_length=4)
    texts: tuple[str, ...] = ()


class Measure(Part):
    """What the page measures for `given.paused`, without a step and without leaving anything turned.

    settings  name -> flat words (a name such as `k=4` may stand without words);  columns: what is measured under each
    kind      knobs: `columns` under each setting;  edit: `routes_changed_before` with the student's edit;
              texts: `share_to` of each text of the student and of `original`;  slots: the losses of three assignments
    """

    kind: Literal["knobs", "edit", "texts", "slots"]
    settings: dict[str, Knobs] = {}
    columns: tuple[str, ...] = ()
    original: str | None = None
    group: str | None = None
    layer: int = 0
    tokens: int = 12
    slots: int = 3


class Twin(Part):
    """The second run, in `given.twin`: the start state with these knobs, same task and seed, at `step`."""

    knobs: Knobs
    step: int = Field(ge=1, le=2000)
    columns: tuple[str, ...] = Field(min_length=1)


class Given(Part):
    """What the page puts into `given`. truth: name of what the answer is held against, see `training/exercises`."""

    answer: Answer | None = None
    edit: Edit | None = None
    measure: Measure | None = None
    twin: Twin | None = None
    truth: Literal["marked_tokens", "future_gate", "switched_off"] | None = None
    marked: tuple[int, int] | None = None
    """(layer, expert) that is marked; None: the page finds it out."""


class Turn(Part):
    """Knobs turned after so many steps of the exercise."""

    at: int = Field(ge=0)
    knobs: Knobs


class Solution(Part):
    """A way through the exercise. turns: in order;  looks: at which steps the run is looked at;  steps: trained in all.

    given   what the student gives (`answer`, `edit`);  by: where the answer is worked out from the run, the name of the way
    fails   of a wrong one: what is learned from it
    """

    name: Words
    start: Knobs = {}
    turns: tuple[Turn, ...] = ()
    looks: tuple[int, ...] = ()
    steps: int = Field(0, ge=0)
    given: dict[str, Any] = {}
    by: str | None = None


class Exercise(Part):
    """One exercise. start: flat words, None where nothing is trained;  paused: it begins with speed 0;  text: Markdown, from the file's section."""

    id: str = Field(pattern=r"^\d{1,2}\.\d{1,2}$")
    title: Words
    start: Knobs | None
    warm_up: WarmUp | None = None
    paused: bool = False
    controls: Controls = Controls()
    prediction: Prediction
    task: Words
    check: str
    deadline: int = Field(ge=0, le=2000)
    given: Given = Given()
    hints: tuple[Words, ...] = Field(min_length=2, max_length=5)
    conclusion: Words
    reference: Solution
    wrong: tuple[Solution, ...] = Field(min_length=1)
    text: str = ""

    @field_validator("check")
    @classmethod
    def _can_be_read(cls, check: str) -> str:
        try:
            read_check(check)
        except CheckError as error:
            raise ValueError(str(error)) from None
        return check

    @field_validator("start")
    @classmethod
    def _is_a_run(cls, start: Knobs | None) -> Knobs | None:
        if start is not None:
            try:
                RunConfig.from_flat(dict(start))
            except ValueError as error:
                raise ValueError(plain(error)) from None
        return start

    @model_validator(mode="after")
    def _knobs_are_known(self) -> Exercise:
        if self.start is None:
            return self
        try:
            start = RunConfig.from_flat(dict(self.start))
            change(start, **(self.warm_up.knobs if self.warm_up else {}))
            for solution in (self.reference, *self.wrong):
                config = change(start, **solution.start)
                for turn in solution.turns:
                    config = change(config, **turn.knobs)
        except ValueError as error:
            raise ValueError(plain(error)) from None
        return self

    @property
    def config(self) -> RunConfig | None:
        """The run that it begins with, None on paper."""
        return None if self.start is None else RunConfig.from_flat(dict(self.start))

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Columns that must be looked at for the check."""
        return looked_at(self.check)


class Question(Part):
    """One question of the quiz. right: number of the right option, from 0;  why: the answer explained."""

    question: Words
    options: tuple[Words, ...] = Field(min_length=2, max_length=6)
    right: int = Field(ge=0)
    why: Words

    @model_validator(mode="after")
    def _is_an_option(self) -> Question:
        if self.right >= len(self.options):
            raise ValueError(f"right = {self.right} is none of the {len(self.options)} options")
        return self


class Lesson(Part):
    """One lesson in one language. depths: `simple`, `student`, `deep` -> Markdown;  translates: `text_hash` of the English file it was made from."""

    number: int = Field(ge=1, le=99)
    slug: str
    title: Words
    goal: Words
    misconception: Words
    exercises: tuple[Exercise, ...] = Field(min_length=1)
    quiz: tuple[Question, ...] = Field(min_length=1)
    depths: dict[str, str]
    translates: str | None = None

    @model_validator(mode="after")
    def _ids_follow(self) -> Lesson:
        wanted = [f"{self.number}.{place}" for place in range(1, len(self.exercises) + 1)]
        found = [exercise.id for exercise in self.exercises]
        if found != wanted:
            raise ValueError(f"exercises are {', '.join(found)}; they must be {', '.join(wanted)}")
        return self

    def exercise(self, id: str) -> Exercise:
        """Raises KeyError where there is none such."""
        return {exercise.id: exercise for exercise in self.exercises}[id]

    @property
    def structure(self) -> dict[str, Any]:
        """All that must be the same in every language: everything but words."""
        return _without_words(self.model_dump(mode="json", exclude={"depths", "translates"}))

    @property
    def text_hash(self) -> str:
        """Hash of all words: where it has changed, the translations of this lesson are out of date."""
        whole = self.model_dump(mode="json", exclude={"translates"})
        return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


WORDS = {
    "title", "goal", "misconception", "task", "conclusion", "text", "name", "question", "after", "why", "labels", "column_labels",
    "hints", "options",
}  # fmt: skip
"""Fields that hold words of a language."""


def _without_words(value: Any) -> Any:
    """Lists of words keep their length."""
    if isinstance(value, dict):
        return {key: len(item) if key in WORDS and isinstance(item, list) else _without_words(item)
                for key, item in value.items() if key not in WORDS or isinstance(item, list)}  # fmt: skip
    return [_without_words(item) for item in value] if isinstance(value, list) else value


@cache
def load(language: str = "en") -> tuple[Lesson, ...]:
    """The course in one language; where it has none, the English one, as with all untranslated texts. Raises `LessonError`."""
    folder = LESSONS / language if re.fullmatch(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,8})?", language) else LESSONS / "en"
    files = sorted(path for path in folder.glob("*.md") if NAME.fullmatch(path.name))
    if not files and language != "en":
        return load("en")
    lessons = tuple(read_lesson(path) for path in files)
    for place, (lesson, path) in enumerate(zip(lessons, files), 1):
        if lesson.number != place:
            raise LessonError(path, 1, f"lesson {lesson.number} stands where lesson {place} is expected")
    return lessons


def find(id: str, language: str = "en") -> Exercise:
    """The exercise with this id ("2.3"). Raises KeyError where the course has none."""
    for lesson in load(language):
        for exercise in lesson.exercises:
            if exercise.id == id:
                return exercise
    raise KeyError(id)


def read_lesson(path: Path) -> Lesson:
    """Read one file. Raises `LessonError` with file and line for anything that is not as the schema has it."""
    name = NAME.fullmatch(path.name)
    if name is None:
        raise LessonError(path, 1, "is not named <nn>-<slug>.md")
    file = read_lesson_file(path)
    values = dict(file.values)
    for word in ("number", "slug", "depths"):
        if word in values:
            raise file.refuse([word], f"{word!r} follows from the file's name and sections")
    _take_sections(file, values)
    try:
        return Lesson(number=int(name[1]), slug=name[2], **values)
    except ValidationError as error:
        first = min(
            error.errors(), key=lambda one: one["type"] != "extra_forbidden"
        )  # a word that is misspelt is missing, too
        place = [part for part in first["loc"] if not isinstance(part, str) or part not in ("function-before", "str")]
        what = first["msg"].removeprefix("Value error, ")
        raise file.refuse(place, f"{'.'.join(map(str, place)) or 'lesson'}: {what}") from None


def _take_sections(file: LessonFile, values: dict[str, Any]) -> None:
    """Put the Markdown of the sections to what it belongs to. Raises `LessonError` for a missing, empty or superfluous one."""
    sections = dict(file.sections)
    exercises = values.get("exercises")
    ids = [str(one.get("id")) for one in exercises if isinstance(one, dict)] if isinstance(exercises, list) else []
    for name in (*DEPTHS, *ids):
        if not sections.get(name):
            raise LessonError(file.path, file.lines.get(name, 1), f"the section “## {name}” is missing or empty")
    for name in sections.keys() - {*DEPTHS, *ids}:
        raise LessonError(file.path, file.lines[name], f"no exercise has the id of the section “## {name}”")
    values["depths"] = {name: sections[name] for name in DEPTHS}
    if isinstance(exercises, list):
        with_text = [
            {**one, "text": sections[str(one.get("id"))]} if isinstance(one, dict) else one for one in exercises
        ]
        values["exercises"] = with_text
