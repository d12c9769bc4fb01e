"""One log for both processes: what happened as an event with fields, as lines for people or as JSON for a log collector.

Never in it: what a reader typed, and whole run ids, which are the keys to runs. Messages of errors that may quote a
reader's input are left out; whatever looks like a run id is cut.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from typing import Any, TextIO

QUOTING = (ValueError, TypeError, LookupError)
"""Errors whose messages may repeat a value that somebody typed; the message itself is logged at level debug only."""
RUN_ID = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z0-9])[\w-]{22,64}(?![\w-])")


def event(
    log: logging.Logger, name: str, level: int = logging.INFO, error: BaseException | None = None, /, **fields: Any
) -> None:
    """Log that `name` happened. `run` among the fields is shortened; `error` adds its traceback."""
    log.log(level, name, exc_info=error, extra={"fields": fields})


def short(run_id: str) -> str:
    """Enough of a run's id to follow it through a log, too little to open it."""
    return run_id[:6]


def start(process: str, level: str = "info", form: str = "text", stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (standard error). process: "web" or "worker"; form: "text" or "json"."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Formatter(process, form))
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)  # libraries
    logging.getLogger("moe_viz").setLevel(level.upper())


class Formatter(logging.Formatter):
    """One line per record: time (UTC), level, process, event, fields; then the traceback (inside the object where it is JSON)."""

    def __init__(self, process: str, form: str):
        super().__init__()
        self.process, self.form = process, form

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        record_fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self.process,
            "event": record.msg if fields is not None else "message",
        }
        fields = {"from": record.name, "text": _cut(record.getMessage())} if fields is None else dict(fields)
        if "run" in fields:
            fields["run"] = short(str(fields["run"]))
        record_fields |= {name: _cut(value) if isinstance(value, str) else value for name, value in fields.items()}
        trace = _trace(record.exc_info[1]) if record.exc_info and record.exc_info[1] else ""
        if self.form == "json":
            return json.dumps(record_fields | ({"traceback": trace} if trace else {}), default=str, ensure_ascii=False)
        words = [
            f"{name}={_plain(value)}"
            for name, value in record_fields.items()
            if name not in ("time", "level", "process", "event")
        ]
        line = " ".join(
            [
                record_fields["time"],
                f"{record_fields['level']:7}",
                f"{record_fields['process']:6}",
                record_fields["event"],
                *words,
            ]
        )
        return f"{line}\n{trace}" if trace else line


class RateLimit(logging.Filter):
    """At most `MOST` lines a minute about one event, so that a flood of refusals cannot fill the disk; the next minute says how many were left out."""

    MOST = 60

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[int, int]] = {}  # event -> (minute, lines in it)

    def filter(self, record: logging.LogRecord) -> bool:
        now, name = int(record.created // 60), str(record.msg)
        minute, count = self._seen.get(name, (now, 0))
        fields = getattr(record, "fields", None)
        if minute != now and count > self.MOST and fields is not None:
            vars(record)["fields"] = fields | {"left_out_before": count - self.MOST}
        count = count + 1 if minute == now else 1
        self._seen[name] = (now, count)
        return count <= self.MOST


def _trace(error: BaseException) -> str:
    """Frames and types of an error and its causes; messages only where they cannot quote a reader."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    told = not isinstance(error, QUOTING) or logging.getLogger("moe_viz").isEnabledFor(logging.DEBUG)
    name = f"{type(error).__name__}: {error}" if told else type(error).__name__
    cause = error.__cause__
    return (f"{_trace(cause)}\n" if cause else "") + _cut(f"{frames}\n{name}".strip())


def _cut(text: str) -> str:
    return RUN_ID.sub(lambda match: match.group()[:6] + "…", text)


def _plain(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[\s\"=]", text) or not text else text
