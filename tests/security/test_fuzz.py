"""Ten thousand hostile inputs: configs, links, component events, pictures, points, sentences here; the engine's in test_fuzz_engine.py.

None may end in anything but an answer or a refusal in words, and none may take long. `COUNTS` in fuzzing.py says how many there are of each.
"""

import io
import json
import math
from collections import Counter

import numpy as np
import streamlit
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from moe_viz.components import routing_view, scrubber
from moe_viz.engine.worker.cost import estimate
from moe_viz.spec import RunConfig, change, needs_restart
from moe_viz.spec.points import decode_points
from moe_viz.spec.sentence import Sentence
from moe_viz.tasks.picture import read_picture
from moe_viz.training import Trainer
from moe_viz.ui.escape import clean, escape_markdown
from moe_viz.ui.gate_map.page import PlaneRun
from moe_viz.ui.session.permalink import decode, encode
from moe_viz.ui.time_machine.sources import TimeMachine
from moe_viz.ui.words import in_words
from tests.components.traces import make_trace
from tests.security import hostile
from tests.security.fuzzing import COUNTS, enough, many, tried


def test_there_are_ten_thousand():
    assert sum(COUNTS.values()) >= 10_000


ROUTERS, TASKS = sorted(hostile.ROUTER_OPTIONS), sorted(hostile.TASK_OPTIONS)


def test_configs():
    outcomes = Counter()

    def attempt(make, base):
        try:
            found = make()
        except ValueError:
            return
        assert RunConfig.from_flat(found.flat()) == found
        assert all(map(math.isfinite, vars(estimate(found)).values()))
        needs_restart(base, found)
        outcomes["valid"] += found != base

    @many("configs")
    @given(st.lists(hostile.flats, min_size=10, max_size=10), st.sampled_from(ROUTERS), st.sampled_from(TASKS))
    def run(flats, router, task):
        base = RunConfig.from_flat({"task": task, "router": router})
        for flat in flats:
            with tried("configs"):
                known = {word: value for word, value in flat.items() if word in base.flat()}
                attempt(lambda known=known: RunConfig.from_flat(base.flat() | known), base)
                attempt(lambda flat=flat: change(base, **flat), base)

    run()
    enough("configs")
    assert outcomes["valid"] > 100, outcomes


def test_links():
    outcomes = Counter()

    @many("links")
    @given(
        st.lists(hostile.queries, min_size=10, max_size=10),
        st.sampled_from(ROUTERS),
        st.sampled_from(TASKS),
        st.booleans(),
    )
    def run(queries, router, task, whole):
        base = encode(RunConfig.from_flat({"task": task, "router": router})) if whole else {}
        for query in queries:
            with tried("links"):
                config, found = decode(base | query)
                assert decode(encode(config))[0] == config
                outcomes["problems"] += bool(found)
                for problem in found:
                    said = (problem.word, problem.value, problem.rule)
                    assert len("".join(said)) < 2000 and all(text == clean(text, 1000) for text in said[:2])

    run()
    enough("links")
    assert outcomes["problems"] > 500, outcomes


def test_events_of_components(monkeypatch):
    state = {}
    monkeypatch.setattr(streamlit, "session_state", state)
    monkeypatch.setattr(streamlit, "rerun", lambda: None)
    monkeypatch.setattr(
        "moe_viz.components.routing._mount", lambda **sent: json.dumps(sent["data"], allow_nan=False, default=len)
    )
    trace = make_trace(n_tokens=16)
    pictures = np.zeros((64, 4, 4))
    names = st.sampled_from(["at", "painted", "selected", "script", "pictures", "step", "stamp", "points", "x"])
    shaped = st.dictionaries(
        names, st.one_of(hostile.values, st.dictionaries(names, hostile.values, max_size=3)), max_size=4
    )
    events = st.one_of(shaped, st.fixed_dictionaries({"at": shaped}), st.fixed_dictionaries({"painted": shaped}))

    @many("events")
    @given(st.lists(events, min_size=10, max_size=10))
    def run(sent):
        for event in sent:
            with tried("events"):
                for key in ("track", "gate_map", "routing"):
                    state[key] = event
                asked = scrubber.asked("track")
                assert asked is None or (isinstance(asked[0], int) and math.isfinite(asked[1]))
                machine = TimeMachine()
                machine.move(asked, 100)
                min([0, 50, 100], key=lambda kept: abs(kept - (machine.at or 0)))
                plane = PlaneRun(RunConfig(task="plane"))
                plane.take_painting()
                assert all(len(in_words(notice)) < 2000 for notice in plane.notices)
                decode_points(plane.config.task.points)
        routing_view([trace], layer=0, key="routing", images=pictures)

    run()
    enough("events")


def test_pictures():
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    whole = {}
    for kind in ("PNG", "JPEG", "WEBP"):
        out = io.BytesIO()
        Image.fromarray(noise).save(out, kind)
        whole[kind] = out.getvalue()
    flips = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=10)

    def damaged(kind, changes, cut):
        data = bytearray(whole[kind])
        for place, value in changes:
            data[int(place * (len(data) - 1))] = value
        return bytes(data[: int(cut * len(data))])

    files = st.one_of(
        st.builds(damaged, st.sampled_from(sorted(whole)), flips, st.sampled_from([1.0, 1.0, 0.9, 0.3])),
        st.binary(max_size=100),
    )

    @many("pictures")
    @given(st.lists(files, min_size=10, max_size=10))
    def run(some):
        for data in some:
            with tried("pictures"):
                try:
                    assert max(read_picture(data).size) <= 256
                except ValueError as error:
                    assert isinstance(error.args[0], Sentence)

    run()
    enough("pictures")


def test_points():
    alphabet = "ABCDabcd0189-_"

    @many("points")
    @given(
        st.lists(
            st.one_of(hostile.texts, st.text(alphabet, max_size=64), st.text(alphabet, min_size=4, max_size=4)),
            min_size=10,
            max_size=10,
        )
    )
    def run(some):
        for text in some:
            with tried("points"):
                try:
                    assert all(0 <= x < 256 and 0 <= y < 256 and 0 <= c < 4 for x, y, c in decode_points(text))
                except ValueError as error:
                    assert "point" in str(error) or "class" in str(error)

    run()
    enough("points")


def test_sentences():
    trainer = Trainer(
        RunConfig.from_flat(
            {"task": "domains", "batch_tokens": 64, "n_layers": 1, "d_model": 16, "d_hidden": 16, "n_experts": 4}
        )
    )

    @many("sentences")
    @given(st.lists(st.one_of(hostile.texts, st.text(max_size=400)), min_size=10, max_size=10))
    def run(some):
        for text in some:
            with tried("sentences"):
                assert "\n" not in escape_markdown(text) and len(clean(text)) <= 201
                try:
                    traces = trainer.route_text(text)
                except ValueError as error:
                    assert "tokens" in str(error)
                else:
                    assert all(len(trace.tokens) == trace.n_tokens >= 1 for trace in traces)

    run()
    enough("sentences")
