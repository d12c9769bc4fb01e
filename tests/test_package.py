"""The wheel: it holds what the lab needs and nothing of the checkout's, and opens the lab wherever it is installed."""

import ast
import asyncio
import os
import re
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from contextlib import contextmanager
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from moe_viz import __version__
from tests.browser.lab import free_port
from tests.websocket import Reader

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BROUGHT_ALONG = {"starlette": "streamlit", "click": "streamlit", "pydantic-core": "pydantic"}
"""Imported, and a dependency of a dependency: its version is that one's affair."""

REQUIREMENTS = {
    "requirements.txt": None,
    "requirements-dev.txt": "dev",
    "requirements-cluster.txt": "cluster",
    "requirements-log.txt": "log",
    "requirements-peers.txt": "parity",
}
"""File of exact versions -> the extra of pyproject.toml with their ranges."""
PEERS = {"megatron": "megatron-core"}
"""Modules whose distribution has another name and may not be here to be asked."""


def pinned(file: str) -> dict[str, Requirement]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and line[0] not in "#-"]
    return {each.name: each for each in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder of its own with the wheel in it, outside the checkout; what it needs comes from this Python."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = pip("install", "--no-deps", "--target", folder / "packages", wheel)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pip(*arguments: object) -> subprocess.CompletedProcess[str]:
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index"]
    command = [sys.executable, "-m", "pip", str(arguments[0]), *quiet, *map(str, arguments[1:])]
    return subprocess.run(command, capture_output=True, text=True, timeout=150)


def environment(installed: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(installed / "packages"), "MOE_VIZ_HOME": str(installed / "home")}


def run(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=installed,
        env=environment(installed),
        capture_output=True,
        text=True,
        timeout=150,
    )


def test_the_wheel_has_every_tracked_file_of_the_app_and_nothing_else(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "app.py", "pages", "assets", "moe_viz", "requirements.txt"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    wanted = {
        name if name.startswith("moe_viz/") else f"moe_viz/_app/{name}" for name in tracked if "screenshots" not in name
    }
    assert "moe_viz/py.typed" in wanted
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_there_is_one_version(wheel):
    assert "version" in PROJECT["dynamic"] and f"-{__version__}-py3-none-any" in wheel.name
    said = zipfile.ZipFile(wheel).read(f"moe_viz-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in said


def test_the_installed_command_is_the_same_program(installed):
    script = installed / "packages" / "bin" / "moe-viz"
    done = run(installed, str(script), "--version")
    assert done.stdout == f"moe_viz {__version__}\n", done.stderr
    said = run(installed, str(script), "train", "--k", "0")
    assert said.returncode == 2 and said.stderr.startswith("moe-viz train: "), said.stderr


def test_the_layer_works_in_a_notebook_without_streamlit(installed):
    code = """
import sys, torch
from moe_viz.moe import Experts, MoELayer, make_router
layer = MoELayer(make_router("switch", d_model=8, n_experts=4), Experts(n_experts=4, d_model=8, d_hidden=16))
y, routing = layer(torch.randn(10, 8))
import moe_viz
print(list(y.shape), "streamlit" in sys.modules, "pandas" in sys.modules, moe_viz.__file__)
"""
    done = run(installed, "-c", code)
    assert done.stdout.startswith("[10, 8] False False"), done.stdout + done.stderr
    assert str(installed) in done.stdout


@contextmanager
def served(installed: Path):
    port = free_port()
    script = installed / "packages" / "bin" / "moe-viz"
    command = [sys.executable, str(script), "serve", f"--server.port={port}", "--server.address=127.0.0.1"]
    with open(installed / "log", "w+b") as log:
        process = subprocess.Popen(command, cwd=installed, env=environment(installed), stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            process.wait(20)


async def live_step(address: str) -> int:
    """Open the lab and wait until it shows a step of a run that trains; that step."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            break
        except OSError:
            await asyncio.sleep(0.1)
    reader = await Reader(address).open()
    step = lambda page: int(re.sub(r"\D", "", page.text("live_step") or "") or 0)  # noqa: E731
    await reader.until(lambda page: step(page) > 0, 90)
    await reader.close()
    assert not reader.errors
    return step(reader)


def test_it_opens_the_lab_and_trains(installed):
    with served(installed) as (address, process):
        assert asyncio.run(live_step(address)) > 0
        assert "first_picture" in urllib.request.urlopen(f"{address}/").read().decode()
        files = (
            {link.resolve() for link in Path(f"/proc/{process.pid}/fd").glob("*")} if sys.platform == "linux" else set()
        )
        assert not any(ROOT in file.parents and ".venv" not in file.parts for file in files)
    said = (installed / "log").read_text(encoding="utf-8")
    assert "server_stopped" in said and "warn" not in said.lower(), said


def third_party(places: list[str]) -> set[str]:
    """Names of the distributions that the files import."""
    names = {module: [name] for module, name in PEERS.items()} | packages_distributions()
    found = set()
    for file in (
        file for place in places for file in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
                "importorskip",
                "import_module",
            ):
                modules += [name.value for name in node.args[:1] if isinstance(name, ast.Constant)]
            for top in {module.partition(".")[0] for module in modules} - {"moe_viz"} - set(sys.stdlib_module_names):
                found.add(names.get(top, [top])[0].lower().replace("_", "-"))
    return found


def test_what_users_install_is_what_the_package_imports():
    declared = {Requirement(each).name for each in PROJECT["dependencies"]}
    imported = third_party(["app.py", "pages", "moe_viz"]) - {
        "ray",
        "tensorboardx",
    }  # extras, for what needs them alone
    assert imported - BROUGHT_ALONG.keys() == declared - {"altair"}, "altair is what Streamlit draws our charts with"
    for name, owner in BROUGHT_ALONG.items():
        assert owner in declared and any(Requirement(each).name == name for each in requires(owner) or ()), name


def test_what_developers_install_is_what_tests_and_benchmarks_import():
    """Whatever else brings it along today: yaml had come with transformers by chance."""
    declared = {name for file in REQUIREMENTS for name in pinned(file)}
    imported = third_party(["app.py", "pages", "moe_viz", "tests", "benchmarks"]) - {"tests", "benchmarks"}
    assert imported - BROUGHT_ALONG.keys() - declared == set()


@pytest.mark.parametrize("file, extra", REQUIREMENTS.items())
def test_every_exact_version_lies_in_its_range(file, extra):
    pins = pinned(file)
    ranges = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    for wanted in map(Requirement, ranges):
        (exact,) = pins[wanted.name].specifier
        assert exact.operator == "==" and wanted.specifier.contains(exact.version), wanted
        assert wanted.extras == pins[wanted.name].extras
    if extra != "parity":  # its file also has what --no-deps leaves out
        assert {Requirement(each).name for each in ranges} == set(pins)
