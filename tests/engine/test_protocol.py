"""A call is declared once: client, transport and cluster follow from the declaration, and the host does exactly what is declared."""

import inspect
import pickle

import pytest

from moe_viz.engine.calls import Request, call_of, request
from moe_viz.engine.client import LocalEngine
from moe_viz.engine.protocol import CALLS, Engine, EngineError, called
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.engine.worker.main import do
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer


class Elsewhere(Engine):
    """Carries each request to a host as a pipe would."""

    def __init__(self, host):
        self.host, self.carried = host, []

    def carry(self, request):
        self.carried.append(request)
        fine, value = pickle.loads(pickle.dumps(do(self.host, pickle.loads(pickle.dumps(request)))))
        if not fine:
            raise value
        return value


@pytest.fixture
def host(tmp_path):
    return Host(FakeTrainer, RunStore(tmp_path))


@pytest.mark.parametrize("name", CALLS)
def test_the_host_does_what_is_declared(name):
    declared, done = (inspect.signature(getattr(kind, name)) for kind in (Engine, Host))
    assert done == declared
    assert call_of(getattr(Host, name)) is None and getattr(Engine, name).__doc__


ABOUT_ONE_RUN = [
    name for name, call in CALLS.items() if not call.starts and name not in ("read_group", "describe", "status")
]


@pytest.mark.parametrize("name", ABOUT_ONE_RUN)
def test_a_call_about_a_run_names_it_first(name):
    assert next(iter(CALLS[name].signature.parameters)) == "run_id"


def test_calls_go_through_a_pipe_as_they_are_declared(host):
    engine = Elsewhere(host)
    run_id = engine.open(RunConfig(task="clusters"), playing=False)
    engine.step_once(run_id)
    assert engine.read(run_id).snapshot.step == 1
    assert engine.set(run_id, lr=0.5) == ["lr is now 0.5"]
    with pytest.raises(EngineError, match="lr = 7"):
        engine.set(run_id, lr=7)
    assert [asked.name for asked in engine.carried] == ["open", "step_once", "read", "set", "set"]
    assert engine.carried[-1] == request(Engine.set, run_id, lr=7)


def test_a_client_writes_only_the_calls_that_differ_for_it():
    assert vars(LocalEngine).keys() & CALLS.keys() == {"resume", "release"}


def test_a_call_that_no_host_does_is_refused_before_anything_runs():
    with pytest.raises(TypeError, match=r"Half neither does open, .*status nor carries"):
        type("Half", (Engine,), {"read": lambda self, run_id, since=None: None})


@pytest.mark.parametrize("name", ["close", "carry", "tick", "_find", "__init__", "limits", "", "open "])
def test_nothing_but_declared_calls_reaches_the_host(host, name):
    with pytest.raises(EngineError, match="not a call"):
        called(Request(name))
    fine, error = do(host, Request(name))
    assert not fine and isinstance(error, EngineError)


def test_what_is_no_call_cannot_be_requested():
    with pytest.raises(TypeError, match="not a call"):
        request(Engine.carry, Request("read"))


def test_every_new_run_is_told_of(host):
    """A cluster finds runs only by what their calls say of them."""
    config = RunConfig(task="clusters")
    first = host.open(config, playing=False)
    host.tick(0)
    for asked in (
        request(Engine.open, config),
        request(Engine.open_group, [config, config]),
        request(Engine.fork, host.open(config), 0),
    ):
        before = set(host._runs)
        if asked.name == "fork":
            host.step_once(asked.args[0])
        fine, value = do(host, asked)
        assert fine and set(CALLS[asked.name].born(value)) == set(host._runs) - before
    assert CALLS["copy"].born(first) == CALLS["import_run"].born(first) == [first]
    assert all(CALLS[name].starts for name in ("open", "open_group", "import_run"))


def test_arguments_have_their_names_and_defaults_wherever_they_come_from():
    assert CALLS["read"].arguments(Request("read", ("x",))) == {"run_id": "x", "since": None}
    assert CALLS["fork"].arguments(Request("fork", (), {"run_id": "x", "step": 3, "lr": 0.1})) == {
        "run_id": "x",
        "step": 3,
        "epoch": None,
        "knobs": {"lr": 0.1},
    }
    with pytest.raises(TypeError):
        CALLS["read"].arguments(Request("read", ()))
