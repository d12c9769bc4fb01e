"""Settings: where a value comes from, what is refused and in which words, and what the engine makes of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from moe_viz.engine.client import home
from moe_viz.engine.limits import Limits, WorkerSettings
from moe_viz.settings import PROFILES, BadSettings, Settings, load, settings, settings_or_exit, unknown_variables

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def empty(monkeypatch, tmp_path):
    """No settings but those of the test."""
    for name in list(os.environ):
        if name.startswith("MOE_VIZ_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_environment_wins_over_file_over_profile_over_default(monkeypatch, tmp_path):
    assert load().max_runs == 64
    monkeypatch.setenv("MOE_VIZ_PROFILE", "low_memory")
    assert load().max_runs == PROFILES["low_memory"]["max_runs"]
    (tmp_path / "moe_viz.toml").write_text("max_runs = 7\nlease_s = 12.5\n")
    assert (load().max_runs, load().lease_s) == (7, 12.5)
    monkeypatch.setenv("MOE_VIZ_MAX_RUNS", "8")
    assert load().max_runs == 8
    assert load(max_runs=9).max_runs == 9


def test_profile_may_stand_in_the_file_and_another_file_may_be_named(monkeypatch, tmp_path):
    (tmp_path / "other.toml").write_text('profile = "classroom"\n')
    monkeypatch.setenv("MOE_VIZ_CONFIG", str(tmp_path / "other.toml"))
    assert load().max_runs == PROFILES["classroom"]["max_runs"]


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_are_allowed_values_of_known_fields(profile):
    assert PROFILES[profile].keys() <= Settings.model_fields.keys()
    load(profile=profile)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("MAX_RUNS", "many", "1 to 2000 runs"),
        ("MAX_RUNS", "0", "1 to 2000 runs"),
        ("LEASE_S", "nan", "5 to 3600 s"),
        ("LOG_TO", "syslog", "file, stderr"),
        ("DEVICE", "tpu", "auto, cpu, cuda, mps"),
        ("PROFILE", "huge", "default, low_memory, classroom"),
        ("LOG_FORMAT", "xml", "text, json"),
        ("STORE_BYTES", "1e3", "10000000 to 10000000000000 bytes"),
    ],
)
def test_refusal_names_variable_value_and_what_is_allowed(monkeypatch, name, value, allowed):
    monkeypatch.setenv("MOE_VIZ_" + name, value)
    with pytest.raises(BadSettings) as refused:
        load()
    assert str(refused.value) == f"MOE_VIZ_{name} = {value!r} is not allowed; it must be {allowed}"


def test_refused_engine_is_told_the_forms(monkeypatch):
    monkeypatch.setenv("MOE_VIZ_ENGINE", "ray://host")
    with pytest.raises(BadSettings, match=r"^MOE_VIZ_ENGINE = 'ray://host' is not allowed; it must be local, ray"):
        load()


def test_refused_passphrase_is_not_repeated(monkeypatch):
    monkeypatch.setenv("MOE_VIZ_PASSPHRASE", "abc")
    with pytest.raises(BadSettings, match=r"MOE_VIZ_PASSPHRASE = \(hidden\) is not allowed") as refused:
        load()
    assert "abc" not in f"{refused.value} {refused.value.__cause__}"
    monkeypatch.setenv("MOE_VIZ_PASSPHRASE", "open sesame")
    assert "open sesame" not in repr(load()) and load().passphrase.get_secret_value() == "open sesame"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_runs = 0", "max_runs in moe_viz.toml = 0 is not allowed; it must be 1 to 2000 runs"),
        ("max_rum = 3", "max_rum in moe_viz.toml is not a setting; there are profile, home, engine"),
        ("max_runs =", "moe_viz.toml is not a TOML file"),
        ("lease_s = 60\nrelease_s = 30", "MOE_VIZ_RELEASE_S = 30 is not allowed; it must be at least"),
    ],
)
def test_refusals_of_the_file(tmp_path, text, said):
    (tmp_path / "moe_viz.toml").write_text(text)
    with pytest.raises(BadSettings) as refused:
        load()
    assert said in str(refused.value)


def test_named_file_must_exist(monkeypatch):
    monkeypatch.setenv("MOE_VIZ_CONFIG", "/nowhere/moe_viz.toml")
    with pytest.raises(BadSettings, match="there is no such file"):
        load()


def test_every_setting_is_explained():
    for name, info in Settings.model_fields.items():
        assert info.description, name
        if name.endswith(("_s", "_bytes")):
            assert info.json_schema_extra["unit"] in ("s", "bytes"), name


def test_unknown_variables_are_found(monkeypatch):
    monkeypatch.setenv("MOE_VIZ_MAX_RUN", "3")
    monkeypatch.setenv("MOE_VIZ_CONFIG", "x")
    assert unknown_variables() == ["MOE_VIZ_MAX_RUN"]


def test_a_terminal_gets_one_sentence_and_no_traceback(monkeypatch):
    env = os.environ | {"MOE_VIZ_MAX_RUNS": "many", "PYTHONPATH": str(ROOT)}
    code = "from moe_viz.settings import settings_or_exit; settings_or_exit()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "moe_viz cannot start: MOE_VIZ_MAX_RUNS = 'many' is not allowed; it must be 1 to 2000 runs.\n"


def test_a_server_with_a_refused_setting_does_not_start(tmp_path):
    env = os.environ | {
        "MOE_VIZ_LEASE_S": "0",
        "STREAMLIT_BROWSER_SERVER_ADDRESS": "localhost",
        "STREAMLIT_SERVER_PORT": "0",
    }
    command = [sys.executable, "-m", "moe_viz", "serve", "--server.headless=true"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "moe_viz cannot start: MOE_VIZ_LEASE_S = '0' is not allowed; it must be 5 to 3600 s.\n"


def test_the_worker_gets_its_share(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_VIZ_MAX_RUNS", "5")
    monkeypatch.setenv("MOE_VIZ_LEASE_S", "7")
    monkeypatch.setenv("MOE_VIZ_HOME", "~/somewhere")
    monkeypatch.setenv("MOE_VIZ_LOG_FORMAT", "JSON")
    mine = settings_or_exit()
    assert mine is settings() and mine.home == Path.home() / "somewhere"
    worker = WorkerSettings.of(mine, tmp_path)
    assert (worker.limits.max_runs, worker.limits.lease_s, worker.store) == (5, 7.0, str(tmp_path))
    assert (worker.limits.history_bytes, worker.limits.import_bytes) == (mine.history_bytes, mine.upload_bytes)
    assert WorkerSettings.of(load(max_runs=64, lease_s=30), tmp_path).limits == Limits()
    assert (worker.log_format, worker.log_to, worker.log_level) == ("json", "file", "info")


def test_home_falls_back_where_it_cannot_be_written(monkeypatch, tmp_path):
    monkeypatch.setenv("MOE_VIZ_HOME", str(tmp_path / "mine"))
    assert home() == tmp_path / "mine" and home().is_dir()
    settings.cache_clear()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOE_VIZ_HOME", str(tmp_path / "file" / "below"))
    assert home().is_dir() and tmp_path not in home().parents
    assert home() == home(), "each look of the status page asks for it: one folder, not one a look"
