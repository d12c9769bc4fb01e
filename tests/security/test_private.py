"""What stays on the server: files for its user alone, secrets that the worker never gets, ids that nobody can guess or list."""

from __future__ import annotations

import os
import re
import stat
from types import SimpleNamespace

import pytest

from moe_viz.engine.client import local as client
from moe_viz.engine.limits import WorkerSettings
from moe_viz.engine.storage.run_store import RunStore
from moe_viz.engine.worker.host import Host
from moe_viz.spec import RunConfig
from tests.engine.fake import FakeTrainer
from tests.security.hostile import BAD_IDS


@pytest.fixture
def host(tmp_path):
    return Host(FakeTrainer, RunStore(tmp_path / "runs"))


def test_ids_are_random_and_no_call_lists_them(host):
    ids = [host.open(RunConfig(task="clusters")) for _ in range(40)]
    assert len(set(ids)) == 40 and all(re.fullmatch(r"[A-Za-z0-9_-]{32}", run) for run in ids)  # 24 random bytes
    assert len({run[:3] for run in ids}) > 30  # no common beginning, no count
    told = repr(host.status())
    assert not any(run in told for run in ids) and all(run[:6] in told for run in ids)


@pytest.mark.parametrize("run", [*BAD_IDS, None, 7, b"A" * 22])
def test_no_id_is_a_path(host, tmp_path, run):
    (tmp_path / "runs" / "milestones").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for call in (host.read, host.reset, host.export, host.copy, host.release):
        with pytest.raises(Exception) as caught:
            call(run)
            raise LookupError("no refusal")  # `release` of what is not there says nothing
        assert not isinstance(caught.value, OSError)
    assert sorted(tmp_path.rglob("*")) == before


def test_files_are_for_the_server_alone(tmp_path, monkeypatch):
    started = {}
    monkeypatch.setattr(
        client.subprocess, "Popen", lambda command, **how: started.update(how) or SimpleNamespace(pid=1)
    )
    monkeypatch.setenv("MOE_VIZ_PASSPHRASE", "sesame-0451")
    monkeypatch.setenv("STREAMLIT_SERVER_COOKIE_SECRET", "c" * 32)
    old = os.umask(0o022)
    try:
        client._spawn(WorkerSettings(store=str(tmp_path / "home" / "runs")))
        RunStore(tmp_path / "home" / "runs")
    finally:
        os.umask(old)
    assert started["umask"] == 0o077  # whatever the worker writes
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"home": 0o700, "runs": 0o700, "worker.log": 0o600}
    assert not {"sesame-0451", "c" * 32} & set(started["env"].values())
    assert started["env"]["PATH"] == os.environ["PATH"]
