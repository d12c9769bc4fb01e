"""The engine on a Ray cluster: `python -m moe_viz.engine.cluster`, started by `client.LocalEngine` in place of the training process.

It answers the same requests over the same pipe, but trains nothing itself: `carrier.Cluster` takes them to the actors of the cluster.
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
from typing import Any, BinaryIO

from moe_viz import logs
from moe_viz.engine.carrier import Cluster
from moe_viz.engine.local import Settings, message, receive, take_stdout, watch_parent
from moe_viz.engine.protocol import WorkerLost
from moe_viz.engine.rays import CannotConnect, connect

log = logging.getLogger("moe_viz.engine.cluster")  # run as the main module, it would have no name of ours

FAREWELL_S = 4.5
"""Time to fetch the last checkpoints and end the cluster once the parent is gone."""


def main() -> None:
    answers = take_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the terminal is for the server
    settings: Settings = pickle.load(sys.stdin.buffer)
    logs.start("cluster", settings.log_level, settings.log_format)
    requests: SimpleQueue = SimpleQueue()
    for work, subject in ((receive, sys.stdin.buffer), (watch_parent, os.getppid())):
        threading.Thread(target=work, args=(subject, requests, FAREWELL_S), daemon=True).start()
    try:
        ray = connect(settings.engine)
        signal.signal(signal.SIGTERM, lambda *_: requests.put(None))
        code = asyncio.run(_serve(Cluster(ray, settings), requests, answers))
        ray.shutdown()
    except CannotConnect as error:
        log.error("%s", error)
        _write(answers, message(0, False, WorkerLost(error.template, **error.values)))
        code = 1
    except Exception:
        log.exception("the cluster engine stops")
        code = 1
    logging.shutdown()
    os._exit(code)  # the reading thread still holds standard input


async def _serve(cluster: Cluster, requests: SimpleQueue, answers: BinaryIO) -> int:
    """Answer until a None arrives or the cluster is gone; the exit code."""
    await cluster.start()
    _write(answers, message(0, True, {"pid": os.getpid()}))
    watching = asyncio.ensure_future(cluster.watch())
    running: set[asyncio.Task] = set()

    async def respond(request: tuple[Any, ...]) -> None:
        _write(answers, await cluster.answer(*request))

    while not watching.done():
        getting = asyncio.ensure_future(asyncio.to_thread(requests.get))
        await asyncio.wait({getting, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() or getting.result() is None:
            break
        task = asyncio.ensure_future(respond(getting.result()))
        running.add(task)
        task.add_done_callback(running.discard)
    if watching.done():
        log.error("the cluster is gone")
        return 1
    watching.cancel()
    await cluster.close()
    return 0


def _write(answers: BinaryIO, data: bytes) -> None:
    try:
        answers.write(data)
        answers.flush()
    except BrokenPipeError:
        log.info("the server is gone")


if __name__ == "__main__":
    main()
