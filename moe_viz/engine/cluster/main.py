"""The engine on a Ray cluster: `python -m moe_viz.engine.cluster.main`, started by `client.LocalEngine` in place of the training process.

It answers the same requests over the same pipe, but trains nothing itself: `cluster.Cluster` takes them to the actors of the cluster.
What a page calls is the same in both cases. See docs/cluster.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO, NoReturn

from moe_viz import logs
from moe_viz.engine.calls import Request
from moe_viz.engine.cluster.cluster import Cluster
from moe_viz.engine.cluster.connect import CannotConnect, connect
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.protocol import WorkerLost
from moe_viz.engine.worker.main import message, receive, take_stdout, watch_parent

log = logging.getLogger("moe_viz.engine.cluster.main")  # run as the main module, it would have no name of ours

FAREWELL_S = 4.5
"""Time to fetch the last checkpoints and end the cluster once the parent is gone."""


def main() -> None:
    answers = take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the server
    settings: WorkerSettings = pickle.load(sys.stdin.buffer)
    logs.start("cluster", settings.log_level, settings.log_format)
    requests: SimpleQueue = SimpleQueue()
    for work, subject in ((receive, sys.stdin.buffer), (watch_parent, os.getppid())):
        threading.Thread(target=work, args=(subject, requests, FAREWELL_S), daemon=True).start()
    try:
        ray = connect(settings.engine, lambda error: _cannot_start(answers, error))
        signal.signal(signal.SIGTERM, lambda *_: requests.put(None))
        asyncio.run(_serve(Cluster(ray, settings), requests, answers))
        ray.shutdown()
    except CannotConnect as error:
        _cannot_start(answers, error)
    except Exception:
        log.exception("the cluster engine stops")
        _leave(1)
    _leave(0)


async def _serve(cluster: Cluster, requests: SimpleQueue, answers: BinaryIO) -> None:
    """Answer until a None arrives. Where the cluster is gone the process ends here: calls to it may hang for ever, in threads of Ray's."""
    try:
        await cluster.start()
    except CannotConnect as error:
        _cannot_start(answers, error)
    _write(answers, message(0, True, {"pid": os.getpid()}))
    watching = asyncio.ensure_future(cluster.watch())
    running: set[asyncio.Task] = set()

    async def respond(number: int, request: Request[Any]) -> None:
        _write(answers, await cluster.answer(number, request))

    inbox: asyncio.Queue = asyncio.Queue()
    threading.Thread(target=_pass_on, args=(requests, inbox, asyncio.get_running_loop()), daemon=True).start()
    while True:
        getting = asyncio.ensure_future(inbox.get())
        await asyncio.wait({getting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            log.error("the cluster is gone: %s", watching.exception() or "it does not answer any more")
            _leave(1)
        if getting.result() is None:
            break
        task = asyncio.ensure_future(respond(*getting.result()))
        running.add(task)
        task.add_done_callback(running.discard)
    watching.cancel()
    await cluster.close()


def _pass_on(requests: SimpleQueue, inbox: asyncio.Queue, loop: asyncio.AbstractEventLoop) -> None:
    """A thread of its own: those of the event loop may all be waiting for a cluster that is gone."""
    while True:
        request = requests.get()
        loop.call_soon_threadsafe(inbox.put_nowait, request)
        if request is None:
            return


def _cannot_start(answers: BinaryIO, error: CannotConnect) -> NoReturn:
    log.error("%s", error)
    _write(answers, message(0, False, WorkerLost(error.template, **error.values)))
    _leave(1)


def _leave(code: int) -> NoReturn:
    """At once: the reading thread still holds standard input."""
    logging.shutdown()
    os._exit(code)


def _write(answers: BinaryIO, data: bytes) -> None:
    try:
        answers.write(data)
        answers.flush()
    except BrokenPipeError:
        log.info("the server is gone")


if __name__ == "__main__":
    main()
