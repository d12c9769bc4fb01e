"""The real trainer in the real process: live routing on real text, resumed after a kill, and no torch on this side."""

import io
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_viz.engine.client import LocalEngine
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import EngineError, WorkerLost
from moe_viz.spec import RunConfig
from tests.engine.client.test_local import steps, wait

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = LocalEngine(WorkerSettings(store=str(tmp_path_factory.mktemp("home") / "runs")))
    yield engine
    engine.close()


def test_text_is_learned_routed_and_resumed(engine):
    run = engine.open(RunConfig())
    wait(lambda: steps(engine, run) >= 40, seconds=60)
    update = engine.read(run)
    loss = update.history.loss.to_numpy()
    assert np.isfinite(loss).all() and loss[-5:].mean() < loss[:5].mean() - 0.3
    assert len(update.snapshot.traces) == 2 and update.snapshot.traces[0].n_tokens > 0
    assert [trace.layer for trace in engine.route_text(run, "two experts")] == [0, 1]
    said = engine.continue_text(run, "The ", 5, 0.8)
    assert said.text and said.traces[0].n_tokens >= said.prompt_tokens
    assert engine.keyframe(run, update.snapshot.step)[0].layer == 0
    engine.set(run, router="switch", k=1)
    after = engine.read(run)
    assert after.snapshot.traces[0].router == "switch" and after.snapshot.step >= update.snapshot.step
    engine.release(run)  # writes a checkpoint at once
    engine.status()
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        while True:
            engine.read(run)
    engine.resume(run)
    resumed = engine.read(run)
    assert resumed.snapshot.step >= after.snapshot.step and resumed.snapshot.config["router"] == "switch"
    assert resumed.history.step.max() >= after.snapshot.step
    wait(lambda: steps(engine, run) > resumed.snapshot.step + 5)


def test_one_task_refuses_what_another_can(engine):
    run = engine.open(RunConfig(task="clusters"))
    with pytest.raises(EngineError, match="text"):
        engine.route_text(run, "points are not text")
    before = steps(engine, run)
    wait(lambda: steps(engine, run) > before + 20)
    assert engine.read(run).snapshot.state == "running"


def test_an_own_picture_is_routed_across_the_process(engine):
    pixels = io.BytesIO()
    Image.new("RGB", (90, 60), "teal").save(pixels, "PNG")
    run = engine.open(RunConfig(task="photo"))
    traces, image = engine.route_image(run, pixels.getvalue())
    assert image.shape == (64, 96, 3) and [trace.n_tokens for trace in traces] == [96, 96]
    with pytest.raises(EngineError) as refused:
        engine.route_image(run, pixels.getvalue()[:50])
    assert str(refused.value) == refused.value.template.format(**refused.value.values)
    assert "PNG, JPEG or WebP" in str(refused.value)
    other = engine.open(RunConfig(task="clusters"))
    with pytest.raises(EngineError, match="no images"):
        engine.route_image(other, pixels.getvalue())
    before = steps(engine, run)
    wait(lambda: steps(engine, run) > before + 2)
    assert engine.read(run).snapshot.state == "running"


def test_reading_brings_no_torch_into_the_web_process(tmp_path):
    code = """
        import sys, time
        from moe_viz.engine.client import LocalEngine
        from moe_viz.engine.limits import WorkerSettings
        from moe_viz.spec import RunConfig
        engine = LocalEngine(WorkerSettings(store=sys.argv[1]))
        for task in ("domains", "digits", "photo", "clusters"):
            run = engine.open(RunConfig(task=task))
            while (update := engine.read(run)).snapshot.step < 3:
                time.sleep(0.05)
            assert update.snapshot.traces and len(update.history)
        assert "torch" not in sys.modules
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
