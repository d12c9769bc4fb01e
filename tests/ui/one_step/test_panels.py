"""What the panels of One step write, without a page: hidden results are hidden wherever they would stand, and terms have the reader's names."""

import re
from contextlib import nullcontext

import pytest

from moe_viz.records.step_story import questions, read_number
from moe_viz.spec import ROUTER_OPTIONS, RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.one_step import panels

GATES = {
    "one expert, with buffers": {"name": "switch", "capacity_factor": 1.25},
    "two experts, with noise": {"name": "topk", "k": 2, "capacity_factor": 1.0, "noise": 0.5},
    "sigmoid scores and a bias": {"name": "deepseek_v3", "k": 2, "capacity_factor": 2.0},
    "experts that choose": {"name": "expert_choice"},
}


def story_of(router):
    config = RunConfig(task="clusters", router=router, n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, balance_coef=0.1, z_coef=0.01, device="cpu")  # fmt: skip
    trainer = Trainer(config)
    trainer.run(2)
    story = trainer.dissect(0, 0)
    kept = [token for token in range(story.n_tokens) if not story.dropped[token]]
    return trainer.dissect(kept[0], 0)


class Written:
    """Stands for Streamlit: keeps what would be shown."""

    def __init__(self, **state):
        self.texts, self.session_state = [], state

    def __getattr__(self, name):
        return lambda *args, **_kwargs: [self.texts.append(str(arg)) for arg in args]

    def expander(self, *_args):
        return nullcontext()

    def dataframe(self, frame, **_kwargs):
        self.texts += [str(frame.to_dict())]

    def table(self, frame):
        self.texts += [str(value) for value in frame.to_numpy().ravel()]

    @property
    def text(self):
        return "\n".join(self.texts)


def written(monkeypatch, story, **state):
    st = Written(**state)
    monkeypatch.setattr(panels, "st", st)
    for draw in panels.PANELS.values():
        draw(story)
    return st.text


def stands_in(number, text):
    return re.search(rf"(?<![\d.]){re.escape(number)}(?![\d])", text) is not None


@pytest.mark.parametrize("router", GATES.values(), ids=GATES)
def test_hidden_results_stand_nowhere(monkeypatch, router):
    story = story_of(router)
    shown, concealed = (written(monkeypatch, story, **{panels.HIDE: hide}) for hide in (False, True))
    results = {question.name: panels.n(question.answer) for question in questions(story) if question.form != "d"}
    if len([route for route in story.routes if route.kept]) and story.routes[0].kept:
        results["y1"] = panels.n(story.y[0])
    if story.router_row is not None:
        row = story.router_row
        results |= {"m": panels.n(row.new_mean), "v": panels.n(row.new_square), "after": panels.n(row.after, 6)}
    calculated = [text for text in re.findall(r"`([^`]*)`", shown) if "=" in text or "→" in text]
    for name, result in results.items():
        if any(stands_in(result, text) for text in calculated):
            assert not stands_in(result, concealed), f"{name} = {result} is on the page"
    if story.capacity is not None and "k" in story.config:
        assert f"{story.capacity} slots" in shown and f"{story.capacity} slots" not in concealed
    assert "= ?" in concealed or not calculated


def test_every_weighted_term_has_a_name_for_readers():
    for name in ROUTER_OPTIONS:
        config = RunConfig(task="clusters", router=name, n_layers=1, d_model=16, d_hidden=16, batch_tokens=64, device="cpu")  # fmt: skip
        trainer = Trainer(config)
        found = trainer.dissect(0, 0)
        assert set(found.aux) | set(found.dlogits_aux) <= set(panels.AUX), name


def test_numbers_are_written_as_by_hand_and_read_back(monkeypatch):
    for value, text in ((-3.575e-5, "−3.575·10⁻⁵"), (0.1539, "0.1539"), (2e12, "2·10¹²"), (-0.25, "−0.25"), (0.0, "0")):
        assert panels.n(value) == text and read_number(text) == pytest.approx(value)
    assert panels.b(3e-7) == "(3·10⁻⁷)" and panels.b(-0.5) == "(−0.5)" and panels.b(0.5) == "0.5"
    for router in GATES.values():
        shown = written(monkeypatch, story_of(router), **{panels.HIDE: False})
        assert not re.search(r"\de[-−+]?\d", shown)
