"""The training process on this machine: `python -m moe_viz.engine.worker.main`, started by `client.LocalEngine`.

It runs one `Host` and answers requests between training steps. Requests come as pickles on standard input and answers leave on
standard output: both ends are ours, nobody else can write there. torch comes with the trainer, so the web
side can import this module without it.

It is a fresh interpreter rather than a `multiprocessing` child, because that would import the parent's main module again,
which under Streamlit is the page itself.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, BinaryIO, TypeVar

from moe_viz import logs
from moe_viz.engine.calls import Request
from moe_viz.engine.device import DeviceLost
from moe_viz.engine.limits import DEVICE_LOST, WorkerSettings
from moe_viz.engine.protocol import Engine, EngineError, WorkerLost, called
from moe_viz.engine.storage.run_store import RUN_ID, RunStore
from moe_viz.engine.worker.crash_record import excuse
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.spec.knobs import N_

log = logging.getLogger("moe_viz.engine.worker.main")  # run as the main module, it would have no name of ours

N = TypeVar("N")
"""What an answer is told by: a number in a pipe, or who awaits it."""
WEIGHED_STEPS = 5
"""Of the default run on each device: whether an accelerator pays for so little."""
MOST_ANSWERS = 32
"""Answers between two turns of training: readers without pause cannot starve it."""
FAREWELL_S = 2.0
"""Time to finish a step and write checkpoints once the parent is gone."""


def main() -> None:
    answers = take_stdout()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C in the terminal is for the server; we follow when its pipe closes
    settings: WorkerSettings = pickle.load(sys.stdin.buffer)
    logs.start("worker", settings.log_level, settings.log_format)
    requests: SimpleQueue = SimpleQueue()
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # a closed terminal must not cost what has been trained since the last checkpoint
            signal.signal(getattr(signal, name), lambda *_: requests.put(None))
    threading.Thread(target=receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    threading.Thread(target=watch_parent, args=(os.getppid(), requests), daemon=True).start()
    try:
        host = host_of(settings)
    except Exception:
        log.exception("the training process cannot start")
        _send(answers, 0, False, WorkerLost(N_("The training process cannot start; its log says why.")))
        os._exit(1)
    if hasattr(os, "nice"):
        # the page must stay quick while models train; only now, because it waits for the start
        be_nice(settings.niceness)
    logs.event(
        log,
        "worker_started",
        pid=os.getpid(),
        device=settings.device,
        threads=settings.threads,
        **vars(settings.limits),
    )
    _send(answers, 0, True, {"pid": os.getpid()})
    try:
        serve(host, requests, lambda *answer: _send(answers, *answer))
        host.close()
    except BrokenPipeError:
        host.close()
    except DeviceLost as lost:
        logs.event(log, "device_lost", logging.ERROR, run=str(lost))
        logging.shutdown()
        os._exit(DEVICE_LOST)  # a new process brings all runs back; this one could not even save them
    except Exception:
        log.exception("the training process stops")
        os._exit(1)
    logs.event(log, "worker_stopped", pid=os.getpid())
    # the reading thread still holds standard input: an orderly interpreter exit would abort over its lock
    logging.shutdown()
    os._exit(0)


def serve(
    host: Host, requests: SimpleQueue[tuple[N, Request[Any]] | None], answer: Callable[[N, bool, Any], None]
) -> None:
    """Train and answer until a None arrives. Each comes with what its answer is told by; those that wait are answered between steps."""
    sleep = 0.0
    while True:
        for _ in range(MOST_ANSWERS):
            try:
                request = requests.get(timeout=sleep) if sleep > 0 else requests.get_nowait()
            except Empty:
                break
            if request is None:
                return
            number, asked = request
            answer(number, *do(host, asked))
            sleep = 0.0
        sleep = host.tick()


def do(host: Engine, request: Request[Any]) -> tuple[bool, Any]:
    """Whether a request could be done, and its answer or an EngineError."""
    try:
        return True, called(request).do(host, request)
    except EngineError as error:
        logs.event(log, "refused", call=request.name, kind=type(error).__name__, run=_run_of(request))
        return False, error
    except Exception:
        log.exception("the call %s failed", request.name)
        return False, EngineError(N_("The training process could not do this; its log says why."))


def _run_of(request: Request[Any]) -> str:
    """The run that a request names, if it names one; never another argument, which may be what somebody typed."""
    run_id = request.kwargs.get("run_id", request.args[0] if request.args else None)
    return run_id if isinstance(run_id, str) and RUN_ID.fullmatch(run_id) else ""


def host_of(settings: WorkerSettings, store: type[RunStore] = RunStore) -> Host:
    """A host whose trainer has been warmed up."""
    module, _, name = settings.trainer.partition(":")
    trainer = getattr(import_module(module), name)
    devices = None
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(settings.threads)
        devices = import_module("moe_viz.training.devices")
        if settings.confined:
            devices.confine_to_cpu()
        devices.choose_auto(settings.device)
        devices.weigh(lambda kind: step_seconds(trainer, kind), RunConfig())
    first = trainer(RunConfig())  # torch and the data load much on first use: now, while nobody waits yet
    first.step()
    first.snapshot()
    # The thread's own clock sees neither the device nor the thread in which a device's gradients are computed.
    alone = devices is None or devices.resolve_device("auto").type == "cpu"
    clock = time.thread_time if alone else time.perf_counter
    return Host(trainer, store(settings.store, settings.store_bytes), settings.limits, cpu_clock=clock)


def step_seconds(trainer: Any, kind: str) -> float:
    """Mean time of a step of the default run, once it is warm."""
    run = trainer(RunConfig.from_flat({"device": kind}))
    run.run(2)
    started = time.perf_counter()
    run.run(WEIGHED_STEPS)
    return (time.perf_counter() - started) / WEIGHED_STEPS


def be_nice(niceness: int) -> None:
    """Lower the priority of all threads of this process: Linux gives each its own, and autograd has begun one for each device."""
    os.nice(niceness)  # the calling thread, and those that it begins from now on
    tasks = Path("/proc/self/task")
    for task in tasks.iterdir() if tasks.is_dir() else ():
        with suppress(ProcessLookupError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, int(task.name), os.getpriority(os.PRIO_PROCESS, 0))


def take_stdout() -> BinaryIO:
    """Keep standard output for answers alone; whatever a library prints goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def message(number: int, fine: bool, value: Any) -> bytes:
    """One answer as it goes through the pipe."""
    try:
        return pickle.dumps((number, fine, value), protocol=5)
    except Exception:
        log.exception("an answer cannot be sent")
        return message(number, False, EngineError(N_("The training process could not do this; its log says why.")))


def _send(stream: BinaryIO, number: int, fine: bool, value: Any) -> None:
    stream.write(message(number, fine, value))
    stream.flush()


def receive(stream: BinaryIO, requests: Any, farewell_s: float = FAREWELL_S) -> None:
    """Put requests in the queue until the client's end closes; then leave, also out of a step that does not end."""
    try:
        while True:
            requests.put(pickle.load(stream))
    except (EOFError, pickle.UnpicklingError, OSError):
        _leave(requests, farewell_s)
    except Exception:
        log.exception("a request cannot be read")  # nor can any after it: a deaf process would only look alive
        _leave(requests, farewell_s)


def watch_parent(parent: int, requests: Any, farewell_s: float = FAREWELL_S) -> None:
    """Second line of defence: the pipe stays open where a child of the dead server has inherited it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    _leave(requests, farewell_s)


def _leave(requests: Any, farewell_s: float) -> None:
    requests.put(None)
    time.sleep(farewell_s)
    excuse()
    os._exit(0)


if __name__ == "__main__":
    main()
