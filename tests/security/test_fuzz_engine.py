"""Hostile inputs of the engine: commands, and runs imported as files. None may touch a run whose id the sender does not have.

How many: tests/security/fuzzing.py.
"""

import inspect
import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_viz.engine.calls import Request
from moe_viz.engine.limits import Limits
from moe_viz.engine.protocol import CALLS, Engine, EngineError
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker import main as worker
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from moe_viz.training import Trainer
from moe_viz.ui.escape import clean
from moe_viz.ui.words import in_words
from tests.engine.fake import FakeTrainer
from tests.security import hostile
from tests.security.fuzzing import enough, many, tried


@pytest.fixture
def besieged(tmp_path):
    """A host with a stranger's run on it, and what there is to know about that run."""
    now = SimpleNamespace(s=1000.0)
    host = Host(FakeTrainer, RunStore(tmp_path), Limits(max_runs=8), clock=lambda: now.s)
    bystander = host.open(RunConfig(task="clusters", seed=7, speed=0))
    host.read(bystander)

    def state():
        run = host._runs[bystander]
        files = {path: path.stat().st_mtime_ns for path in (tmp_path / bystander).rglob("*")}
        return (
            run.trainer.config,
            run.version,
            run.playing,
            run.failure,
            run.until,
            run.group,
            run.seen,
            sorted(files.items()),
        )

    return host, bystander, state


TAKES = {
    name: [
        p
        for p in inspect.signature(getattr(Engine, name)).parameters.values()
        if p.name != "self" and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
    for name in sorted(CALLS.keys() - {"status", "delete"})
}
"""Call -> its parameters; `knobs` are apart. `delete` would end the siege: it has a test of its own."""
FAKED = set(TAKES) - {
    "analyse", "switch_off", "gate_map", "dissect", "assignment_losses", "look", "measure", "copy", "export", "import_run", "route_text", "route_image", "continue_text"
}  # fmt: skip
"""Calls that a trainer without a model can answer; a real run gets them all."""
NAMELESS = {"open", "open_group", "import_run", "describe", "read_group"}


def almost(run):
    """What is close to a run's id."""
    return [
        run[:-1],
        run[:6],
        run.swapcase(),
        run + "A",
        run[::-1],
        f"{'A' * 20}/../{run}",
        f"./{run}",
        f" {run}",
        f"{run}\n",
        run.encode(),
    ]


def commands(own, bystander, names=tuple(TAKES)):
    """(call, arguments, knobs) with arguments of right and wrong kinds; ids are one's own, somebody's almost, or none at all."""
    ids = st.one_of(st.just(own), st.just(own), st.sampled_from([*almost(bystander), *hostile.BAD_IDS]), hostile.values)
    configs = st.builds(
        lambda seed, task: RunConfig(task=task, seed=seed), st.integers(0, 9), st.sampled_from(["clusters", "domains"])
    )
    other = st.one_of(
        st.integers(0, 9),
        hostile.values,
        st.binary(max_size=60),
        configs,
        st.lists(ids, max_size=3),
        st.lists(configs, max_size=3),
    )

    def with_arguments(name):
        least = sum(p.default is p.empty for p in TAKES[name])
        first = [] if name in NAMELESS else [ids]
        arguments = st.integers(least, len(TAKES[name])).flatmap(
            lambda n: st.tuples(*first, *[other] * (n - len(first)))
        )
        knobs = st.one_of(hostile.flats, st.just({})) if name in ("set", "fork") else st.just({})
        return st.tuples(st.just(name), arguments, knobs)

    return st.sampled_from(names).flatmap(with_arguments)


def test_commands_to_the_engine(besieged):
    host, bystander, state = besieged
    own = host.open(RunConfig(task="clusters"))
    before, answered = state(), Counter()
    names = [name for name in TAKES if name in FAKED]

    @many("commands")
    @given(st.lists(commands(own, bystander, names), min_size=10, max_size=10))
    def run(calls):
        for name, arguments, knobs in calls:
            with tried("commands"):
                fine, answer = worker.do(host, Request(name, arguments, knobs))
                host.tick(0)
                answered[fine] += 1
                assert fine or isinstance(answer, EngineError)
                assert bystander not in repr(answer)[:2000]
                assert fine or len(in_words(answer)) < 2000

    run()
    enough("commands")
    assert state() == before, "a call without its id changed a bystander's run"
    assert len(host._runs) <= 8 and min(answered.values()) > 100, answered


def test_nothing_but_the_exact_id_deletes_or_opens_a_run(besieged):
    host, bystander, state = besieged
    before = state()
    for wrong in [*almost(bystander), *hostile.BAD_IDS, None, 7, b"x" * 22, [bystander], {"run": bystander}]:
        for name in ("delete", "release", "reset", "export", "describe", "rename", "pin", "play", "set"):
            more = {"rename": ("x",), "pin": (True,), "play": (False,)}.get(name, ())
            first = [wrong] if name == "describe" else wrong
            _, answer = worker.do(host, Request(name, (first, *more), {"lr": 0.5} if name == "set" else {}))
            assert answer in (None, []) or isinstance(answer, EngineError)
    host.tick(0)
    assert state() == before


def test_commands_to_a_run_that_really_trains(besieged, tmp_path_factory):
    host = Host(Trainer, RunStore(tmp_path_factory.mktemp("real")), Limits(max_runs=6))
    config = RunConfig.from_flat(
        {"task": "domains", "batch_tokens": 64, "n_layers": 1, "d_model": 16, "d_hidden": 16, "n_experts": 4}
    )
    bystander, own = host.open(config, playing=False), host.open(config, playing=False)
    before = host.read(bystander).snapshot
    names = sorted(set(TAKES) - {"analyse", "switch_off", "copy", "export"})  # these take a second each

    @many("commands of a real run", each=5)
    @given(st.lists(commands(own, bystander, names), min_size=5, max_size=5))
    def run(calls):
        for name, arguments, knobs in calls:
            with tried("commands of a real run"):
                fine, answer = worker.do(host, Request(name, arguments, knobs))
                host.tick(0)
                assert fine or isinstance(answer, EngineError)
        host.reset(own)  # what hostile calls have broken of one's own run must not hide the next ones

    run()
    enough("commands of a real run")
    after = host.read(bystander)
    assert after.snapshot.step == before.step == 0 and after.snapshot.config == before.config and not after.playing
    assert all(np.array_equal(one.probs, two.probs) for one, two in zip(before.traces, after.snapshot.traces))


def test_imported_runs(tmp_path):
    trainer = Trainer(
        RunConfig.from_flat({"task": "clusters", "batch_tokens": 32, "d_model": 8, "d_hidden": 8, "n_experts": 2})
    )
    trainer.run(3)
    trainer.snapshot()
    whole = trainer.exported(10**7, "mine")
    length = int.from_bytes(whole[:8], "little")
    host = Host(
        Trainer, RunStore(tmp_path), Limits(max_runs=4, lease_s=-1.0)
    )  # nobody reads: each makes room for the next
    header = json.loads(whole[8 : 8 + length])
    about = json.loads(header["__metadata__"]["moe_viz"])

    def with_header(changed):
        raw = json.dumps(changed).encode()
        return len(raw).to_bytes(8, "little") + raw + whole[8 + length :]

    def said(word, value):
        text = json.dumps(about | {word: value})
        return with_header({**header, "__metadata__": {**header["__metadata__"], "moe_viz": text}})

    def tensor(name, part, value):
        return with_header({**header, name: {**header[name], part: value}})

    flipped = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    tensors = [name for name in header if name != "__metadata__"]
    shapes = st.one_of(st.lists(st.sampled_from([0, 1, -1, 8, 2**31, 2**62]), max_size=3), hostile.values)
    files = st.one_of(
        flipped.map(lambda changes: bytes(dict(changes).get(i, b) for i, b in enumerate(whole))),
        st.integers(0, len(whole)).map(lambda n: whole[:n]),
        st.builds(said, st.sampled_from([*about, "name", "stopped"]), hostile.values),
        st.builds(lambda flat: said("config", about["config"] | flat), hostile.flats),
        st.builds(tensor, st.sampled_from(tensors), st.sampled_from(["dtype", "shape", "data_offsets"]), shapes),
        st.binary(max_size=200),
        st.integers(0, 2**64 - 1).map(lambda n: n.to_bytes(8, "little") + whole[8:]),
    )
    outcomes = Counter()

    @many("imports")
    @given(st.lists(files, min_size=10, max_size=10))
    def run(some):
        for data in some:
            with tried("imports"):
                try:
                    run_id = host.import_run(data)
                except EngineError as error:
                    assert len(in_words(error)) < 2000
                    outcomes[type(error).__name__] += 1
                else:
                    kept = host.describe([run_id])[0]
                    assert kept.name == clean(kept.name, 60) and len(kept.name) <= 60
                    outcomes["taken"] += 1
                    host.delete(run_id)

    run()
    enough("imports")
    assert outcomes["EngineError"] > 100, outcomes
