"""Doctor and health check: each finding is provoked, and one whole examination is run as a user runs it."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from moe_viz import doctor, health
from moe_viz.cli import main
from moe_viz.engine.health import memory
from moe_viz.settings import load

ROOT = Path(__file__).parents[1]


@pytest.fixture
def chosen(tmp_path):
    """Settings with given words changed."""
    return lambda **values: load(home=tmp_path / "home", **values)


def states(findings):
    return [finding.state for finding in findings]


def test_a_fit_machine_passes(tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_VIZ_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "moe_viz", "doctor", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    found = json.loads(done.stdout)
    said = {finding["name"]: finding for finding in found["findings"]}
    assert done.returncode == 0 and found["ok"], done.stdout + done.stderr
    assert said.keys() >= {"python", "packages", "settings", "device", "folder", "memory", "worker", "port", "browser"}
    assert "trained 5 steps" in said["worker"]["text"] and said["device"]["text"].startswith("torch ")


def test_refused_settings_are_told_and_nothing_is_started(monkeypatch, capsys):
    monkeypatch.setenv("MOE_VIZ_MAX_RUNS", "many")
    monkeypatch.setattr(doctor, "worker", None)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "FAIL  settings  MOE_VIZ_MAX_RUNS = 'many' is not allowed; it must be 1 to 2000 runs" in said
    assert "-> Correct the variable" in said and "python" in said and "Traceback" not in said


def test_misspelt_variable_and_passphrase(monkeypatch, chosen):
    monkeypatch.setenv("MOE_VIZ_PASPHRASE", "open sesame")
    found = list(doctor.settings(chosen()))
    assert any(finding.state == "warn" and "MOE_VIZ_PASPHRASE is not a setting" in finding.text for finding in found)
    assert "open sesame" not in str(list(doctor.settings(chosen(passphrase="open sesame"))))


@pytest.mark.parametrize(("there", "state"), [(None, "fail"), (object(), "ok")])
def test_a_cluster_needs_ray(monkeypatch, chosen, there, state):
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: there)
    assert (state == "fail") == ("fail" in states(doctor.settings(chosen(engine="ray://head:10001"))))
    assert "fail" not in states(doctor.settings(chosen()))


def test_folder_that_cannot_be_written(tmp_path, chosen):
    (tmp_path / "home").write_text("a file")
    (found,) = doctor.folder(chosen())
    assert found.state == "fail" and "MOE_VIZ_HOME" in found.todo


@pytest.mark.parametrize(("free", "state"), [(10**8, "fail"), (5 * 10**8, "warn"), (10**11, "ok")])
def test_disk(monkeypatch, chosen, free, state):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: type("Usage", (), {"free": free}))
    assert states(doctor.folder(chosen())) == [state]


@pytest.mark.parametrize(("free", "state"), [(10**8, "fail"), (8 * 10**8, "warn"), (10**11, "ok")])
def test_memory(monkeypatch, chosen, free, state):
    monkeypatch.setattr(doctor, "machine", lambda path: {"memory_free": free})
    assert states(doctor.memory(chosen())) == [state]


def test_memory_of_a_container_is_its_limit(tmp_path):
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    assert memory(tmp_path) == (73_741_824, 1_073_741_824)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(tmp_path)[1] == memory(tmp_path / "none")[1] > 1_073_741_824


def test_device_that_is_absent_and_one_that_is_there(monkeypatch, chosen):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (found,) = doctor.device(chosen(device="cuda"))
    assert found.state == "fail" and "MOE_VIZ_DEVICE=auto" in found.todo
    (found,) = doctor.device(chosen(device="cpu"))
    assert found.state == "ok" and "on cpu (1 thread" in found.text


def test_packages_against_pins(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("# a comment\ntorch==2.13.0\nnumpy==1.0\nno-such-package-of-ours==1.2\n")
    missing, other = doctor.packages(pins)
    assert missing.state == "fail" and "no-such-package-of-ours 1.2" in missing.text
    assert other.state == "warn" and other.text.startswith("not as tested: numpy ") and "torch" not in other.text
    assert states(doctor.packages(tmp_path / "none")) == ["warn"]


def test_taken_port():
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert states(doctor.free_port(port)) == ["warn"]
    assert states(doctor.free_port(port)) == ["ok"]


def test_a_check_that_breaks_is_a_failure_of_its_own(monkeypatch, chosen):
    def broken(chosen):
        raise RuntimeError("no such thing")

    for name in ("device", "folder", "memory", "worker"):
        monkeypatch.setattr(doctor, name, broken)
    assert [finding.text for finding in doctor.examine() if finding.state == "fail"] == [
        "RuntimeError: no such thing"
    ] * 4


@pytest.mark.parametrize(
    "arguments", [["doctor", "--port", "0"], ["doctor", "--port", "http"], ["health", "--port", "1"]]
)
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1


@pytest.fixture
def answering():
    """A server on this machine that gives one fixed answer; its address."""
    servers = []

    def start(code, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/healthz"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("code", "body", "status", "exit_code"),
    [
        (200, b'{"status": "ok"}', "ok", 0),
        (200, b'{"status": "starting"}', "starting", 0),
        (503, b'{"status": "lost"}', "lost", 1),
        (502, b"<html>", "down", 1),
        (200, b"<html>", "down", 1),
    ],
)
def test_health_says_what_the_server_says(answering, capsys, code, body, status, exit_code):
    assert main(["health", "--url", answering(code, body)]) == exit_code
    assert json.loads(capsys.readouterr().out)["status"] == status


def test_health_without_a_server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert health.ask(f"http://127.0.0.1:{free}/healthz")["status"] == "down"
