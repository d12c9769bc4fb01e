"""Chart, sentence and table of the experts' domains are of one look: nothing is drawn before all of them are known."""

from types import SimpleNamespace

from moe_viz.ui.session.study import Study
from moe_viz.ui.widgets import specialisation
from tests.records.traces import seeded_trace


def test_all_numbers_of_a_look_are_there_before_its_chart_is_drawn(monkeypatch):
    trace = seeded_trace(0, n=200, k=1)
    look = SimpleNamespace(traces=[trace], n_layers=1, step=7, config={"router": "topk", "task": "domains"})
    seen, made = Study(learned=look), []
    numbers = specialisation._numbers
    monkeypatch.setattr(specialisation, "_numbers", lambda *args: made.append("numbers") or numbers(*args))
    monkeypatch.setattr(specialisation, "draw_chart", lambda *_args: made.append("chart"))
    monkeypatch.setattr(specialisation, "download_charts", lambda *_args: None)
    specialisation.domains(seen, 0)
    assert made == ["numbers", "chart"]
