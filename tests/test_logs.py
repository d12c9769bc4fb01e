"""The log: one line per event in both forms, no run id in full, nothing a reader typed, no flood."""

import io
import json
import logging
import secrets

import pytest

from moe_viz import logs


@pytest.fixture
def written():
    """Start logging into a text buffer; afterwards everything is as before."""
    root, ours = logging.getLogger(), logging.getLogger("moe_viz")
    before = root.handlers, root.level, ours.level
    stream = io.StringIO()

    def start(form="json", level="info"):
        logs.start("worker", level, form, stream)
        return logging.getLogger("moe_viz.engine.test"), lambda: stream.getvalue().splitlines()

    yield start
    root.handlers = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


def test_json_lines_hold_the_fields(written):
    log, lines = written()
    run = secrets.token_urlsafe(16)
    logs.event(log, "run_opened", run=run, task="domains", runs=3)
    (line,) = map(json.loads, lines())
    assert (
        line.items() >= {"level": "info", "process": "worker", "event": "run_opened", "run": run[:6], "runs": 3}.items()
    )
    assert line["time"].endswith("Z")


def test_text_lines_are_one_line_each(written):
    log, lines = written("text")
    logs.event(log, "refused", logging.WARNING, call="set", reason='two\nlines "quoted"')
    (line,) = lines()
    assert line.split()[1:4] == ["warning", "worker", "refused"] and line.endswith(r'reason="two\nlines \"quoted\""')


@pytest.mark.parametrize("form", ["text", "json"])
def test_run_ids_are_cut_wherever_they_stand(written, form):
    log, lines = written(form)
    for _ in range(50):
        run = secrets.token_urlsafe(16)
        try:
            raise OSError(28, "No space left on device", f"/data/runs/{run}/3.draft")
        except OSError as error:
            logs.event(log, f"checkpoint_failed {run[:2]}", logging.ERROR, error, run=run)
            log.error("cannot read %s", f"/data/runs/{run}/3")
        assert run not in "\n".join(lines()) and run[:6] in "\n".join(lines())


def test_what_a_reader_typed_is_not_logged(written):
    log, lines = written()
    typed = "my secret diary"
    try:
        try:
            raise ValueError(typed)
        except ValueError as error:
            raise RuntimeError("shape [3, 4] does not fit") from error
    except RuntimeError as error:
        logs.event(log, "run_failed", logging.ERROR, error, run="abcdefgh")
    (line,) = map(json.loads, lines())
    assert "diary" not in line["traceback"]
    assert "ValueError" in line["traceback"] and "RuntimeError: shape [3, 4] does not fit" in line["traceback"]


def test_level_and_other_libraries(written):
    log, lines = written(level="warning")
    logs.event(log, "run_opened")
    logging.getLogger("somebody").info("chatter")
    logging.getLogger("somebody").warning("trouble in %s", "paradise")
    (line,) = map(json.loads, lines())
    assert line["text"] == "trouble in paradise" and line["from"] == "somebody"


def test_a_flood_is_cut_and_counted(written):
    log, _ = written()
    calm = logging.getLogger().handlers[0].filters[0]
    records = [log.makeRecord(log.name, 20, "", 0, "refused", (), None, extra={"fields": {}}) for _ in range(1001)]
    for record in records:
        record.created = 60.0
    records[-1].created = 121.0
    assert sum(map(calm.filter, records[:-1])) == calm.MOST
    assert calm.filter(records[-1]) and records[-1].fields == {"left_out_before": 1000 - calm.MOST}
