"""How the lab is started: one command and one set of Streamlit settings for everybody, no watcher, nothing to warn about."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from streamlit import config as streamlit_config

from moe_viz import launch
from moe_viz.cli import make_parser
from moe_viz.ui.server import lifecycle, streamlit_patches
from tests.browser.lab import free_port
from tests.websocket import Reader

ROOT = Path(__file__).parents[1]
SPY = """
import json, os, signal, sys, threading
def tell(*_):
    from streamlit import config
    stacks = {name: [] for name in map(str, sys._current_frames())}
    for number, frame in sys._current_frames().items():
        while frame:
            stacks[str(number)].append(frame.f_code.co_filename)
            frame = frame.f_back
    found = {"argv": sys.orig_argv, "threads": [t.name for t in threading.enumerate()], "files": sorted(sum(stacks.values(), [])),
             "options": {name: config.get_option(name) for name in config._config_options_template}, "modules": sorted(sys.modules)}
    with open(os.environ["SPY"] + ".part", "w") as file:
        json.dump(found, file, default=str)
    os.replace(os.environ["SPY"] + ".part", os.environ["SPY"])
if "serve" in sys.orig_argv:
    signal.signal(signal.SIGUSR2, tell)
"""
"""Loaded by Python itself at its start: lets the test ask a running lab for its threads and settings, without a door for that in the lab."""


def recipe(target: str) -> list[str]:
    """The one command of a target of the Makefile, as make would run it."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", text, re.MULTILINE)[1].strip().splitlines()
    return shlex.split(command.replace("$(BIN)", str(Path(sys.executable).parent)))


@contextmanager
def started(command: list[str], folder: Path, **env: str):
    """A lab started by a command, in the environment of the tests plus `env`: its address, process, log and a call that asks it about itself."""
    (folder / "spy").mkdir()
    (folder / "spy" / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    port, log, told = free_port(), folder / "log", folder / "told.json"
    env = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")} | {
        "MOE_VIZ_HOME": str(folder / "home"),
        "STREAMLIT_SERVER_PORT": str(port),
        "PYTHONPATH": str(folder / "spy"),
        "SPY": str(told),
        **env,
    }

    def ask() -> dict:
        told.unlink(missing_ok=True)
        os.kill(process.pid, signal.SIGUSR2)
        end = time.monotonic() + 30
        while not told.exists():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        return json.loads(told.read_text(encoding="utf-8"))

    with open(log, "wb") as said:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield f"http://127.0.0.1:{port}", process, log, ask
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(address + "/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(log.read_text())


def test_every_way_to_start_the_lab_is_the_same_command():
    own = ["-m", "moe_viz", "serve"]
    assert recipe("run")[1:] == own and recipe("dev")[1:] == [*own, "--reload"]
    docker = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert json.loads(docker)[1:4] == own
    for path in [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "Makefile", *ROOT.rglob("tests/**/*.py")]:
        if path != Path(__file__):
            assert not re.search(r"streamlit\W+run\W+app\.py\W+--", path.read_text(encoding="utf-8")), path
    assert not (ROOT / ".streamlit").exists()


def test_settings_are_options_of_this_streamlit_and_one_value_each():
    for name, value in launch.STREAMLIT.items():
        option = streamlit_config._config_options_template[name]
        assert isinstance(value, option.type or str), name
    assert streamlit_patches.options_given(launch.flags()) == launch.STREAMLIT


def test_a_users_own_variables_and_flags_win(monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_BASE_URL_PATH", "moe")
    monkeypatch.setenv("STREAMLIT_SERVER_MAX_UPLOAD_SIZE", "3")
    given = streamlit_patches.options_given(["--server.port", "8600", "--server.maxUploadSize=4"])
    assert given == {"server.baseUrlPath": "moe", "server.port": 8600, "server.maxUploadSize": 4}
    chosen = launch.streamlit_settings(given)
    assert {name: chosen[name] for name in given} == given
    assert {name: value for name, value in chosen.items() if name not in given} == {
        name: value for name, value in launch.STREAMLIT.items() if name not in given
    }


def test_nobody_outside_is_asked_for_this_machines_address():
    assert launch.streamlit_settings({})["logger.hideWelcomeMessage"]
    loud = {"logger.hideWelcomeMessage": False}
    assert launch.streamlit_settings(loud)["browser.serverAddress"] == "localhost"
    assert (
        launch.streamlit_settings(loud | {"browser.serverAddress": "lab.example"})["browser.serverAddress"]
        == "lab.example"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ["http://localhost:8600", "http://10.0.0.7:8600"]),
        (
            {"server.address": "0.0.0.0", "server.baseUrlPath": "/moe/"},
            ["http://localhost:8600/moe", "http://10.0.0.7:8600/moe"],
        ),
        ({"server.address": "127.0.0.1"}, ["http://127.0.0.1:8600"]),
        ({"browser.serverAddress": "lab.example"}, ["http://lab.example:8600"]),
    ],
)
def test_the_terminal_says_where_the_lab_is_open(given, said, monkeypatch):
    monkeypatch.setattr(streamlit_patches.context, "get_internal_ip", lambda: "10.0.0.7")
    options = {"server.address": None, "server.baseUrlPath": "", "browser.serverPort": 8600} | given
    monkeypatch.setattr(streamlit_config, "get_option", lambda name: options.get(name))
    monkeypatch.setattr(streamlit_config, "is_manually_set", lambda name: name in given)
    assert streamlit_patches.addresses() == said


@pytest.mark.parametrize("bad", [["--server.prot=1"], ["--server.port=x"], ["app.py", "again"]])
def test_a_bad_flag_ends_the_start(bad):
    with pytest.raises(SystemExit) as stopped:
        streamlit_patches.options_given(bad)
    assert stopped.value.code


def test_the_command_line_hands_flags_on_and_opens_the_lab_where_no_command_is_named(monkeypatch):
    from moe_viz import cli

    asked = []
    monkeypatch.setattr(launch, "serve", lambda flags: asked.append(("serve", flags)) or 0)
    monkeypatch.setattr(launch, "serve_and_reload", lambda flags: asked.append(("reload", flags)) or 0)
    assert cli.main([]) == 0
    assert cli.main(["serve", "--server.port", "8600", "--reload", "--server.headless=true"]) == 0
    assert asked == [("serve", []), ("reload", ["--server.port", "8600", "--server.headless=true"])]
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--server.port", "8600"])
    assert make_parser().parse_args(["serve"]).command


def test_another_streamlit_is_refused_in_one_sentence(monkeypatch, capsys):
    launch.refuse_other_streamlit("1.67.3")
    for version in ("1.66.0", "1.68.0", "2.0", "1.670.0"):
        with pytest.raises(launch.OtherStreamlit, match=re.escape(f"but {version} is installed")):
            launch.refuse_other_streamlit(version)
    for name in [name for name in sys.modules if name.startswith("moe_viz.ui.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(launch, "version", lambda name: "1.99.0")
    assert launch.serve() == 2
    said = capsys.readouterr().err
    assert said.startswith("moe_viz cannot start: it works with Streamlit 1.67") and said.count("\n") == 1


def test_only_sources_are_watched(tmp_path):
    for name in ("app.py", "pages/lab.py", "moe_viz/ui/x.py", "moe_viz/__pycache__/x.pyc", ".venv/lib/y.py", "runs/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    places = [tmp_path / place.relative_to(ROOT) for place in launch.SOURCES]
    assert {Path(path).name for path, _when in launch.sources(places)} == {"app.py", "lab.py", "x.py"}
    everything = [Path(path).relative_to(ROOT).parts[0] for path, _when in launch.sources()]
    assert set(everything) == {"app.py", "pages", "moe_viz", "assets"} and len(everything) < 1000


async def look(address: str) -> list[str]:
    """Open the lab, let it tick some times; what a reader was told went wrong."""
    reader = await Reader(address).open()
    await reader.until(lambda page: len([update for update in page.updates if update.fragment]) >= 12, 90)
    await reader.close()
    return reader.errors


def test_settings_among_streamlits_secrets_are_waited_for(tmp_path, monkeypatch):
    order = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(launch, "_start_training", lambda: order.append("training"))
    monkeypatch.setattr(streamlit_patches, "set_options", lambda chosen: None)
    monkeypatch.setattr(streamlit_patches, "run", lambda app: order.append("server") or 0)
    monkeypatch.setattr(lifecycle, "app", lambda script: None)
    assert launch.serve(["--server.port=8600"]) == 0
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text('MOE_VIZ_PROFILE = "low_memory"')
    assert launch.serve(["--server.port=8600"]) == 0
    assert order == ["training", "server", "server"]


def test_make_run_is_calm(tmp_path):
    """What a newcomer types, exactly: the settings in force, no thread that watches files, and not one warning."""
    with started(recipe("run"), tmp_path) as (address, process, log, ask):
        wait_for(address, process, log)
        assert asyncio.run(look(address)) == []
        found = ask()
        assert found["argv"][1:] == ["-m", "moe_viz", "serve"]
        for name, value in launch.STREAMLIT.items():
            assert found["options"][name] == value, name
        watching = [file for file in found["files"] if re.search(r"watchdog|streamlit/watcher|watchfiles", file)]
        assert not watching and not any("atch" in name for name in found["threads"]), found["threads"]
        assert not any(os.readlink(fd).startswith("anon_inode:inotify") for fd in links(process.pid))
        assert "torch" not in found["modules"]
    said = log.read_text(encoding="utf-8")
    assert not re.search(r"warn|error|traceback|external", said, re.IGNORECASE), said
    assert said.index("worker_starting") < said.index("server_started"), (
        "the training process takes longer, so it starts first"
    )
    assert "server_stopped" in said and f"The lab is open at http://localhost:{address.rpartition(':')[2]}" in said


def links(pid: int) -> list[Path]:
    """The open files of a process, those that have just been closed left out."""
    return [path for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]


def test_make_dev_starts_the_lab_anew_when_a_source_changes(tmp_path):
    """The supervisor alone, over a small program in place of the lab."""
    (tmp_path / "app.py").write_text("")
    lab = tmp_path / "moe_viz"
    lab.mkdir()
    (lab / "__init__.py").write_text("")
    (lab / "__main__.py").write_text("import sys, time\nprint('up', *sys.argv[1:], flush=True)\ntime.sleep(60)\n")
    code = (
        "from pathlib import Path; from moe_viz import launch; own = launch.sources;"
        f"launch.sources = lambda: own([Path({str(tmp_path)!r})]); launch.LOOK_S = .05;"
        f"import os; os.chdir({str(tmp_path)!r}); launch.serve_and_reload(['--server.port=1'])"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout.readline() == "up serve --server.port=1\n"
        (tmp_path / "app.py").write_text("changed")
        assert process.stdout.readline() == "up serve --server.port=1\n"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def test_no_message_is_named_by_a_hash_that_the_page_may_have_let_go():
    """A page that is asked for a message it no longer has is cut off for good: "Cached ForwardMsg MISS"."""
    largest = launch.STREAMLIT["server.maxMessageSize"] * 1e6
    assert launch.STREAMLIT["global.minCachedMessageSize"] > largest
