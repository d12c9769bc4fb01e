"""The production recipe: a Dockerfile whose every word fits the repository, and the lab below a path prefix behind a proxy."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from moe_viz.cli import make_parser
from moe_viz.settings import APART, PREFIX, PROFILES, Settings
from moe_viz.ui.server.streamlit_patches import options_given
from tests.browser.lab import free_port
from tests.websocket import Reader

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def of(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def kept(path: str) -> bool:
    """Whether .dockerignore lets a path into the build; later lines win, and a kept folder keeps what is in it."""
    found = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and any(
            fnmatch.fnmatch(str(part), pattern.removeprefix("**/")) if pattern.startswith("**/") else fnmatch.fnmatch(str(part), pattern)
            for part in [Path(path), *Path(path).parents]
        ):  # fmt: skip
            found = line.startswith("!")
    return found


def test_instructions_are_known_and_begin_with_the_pinned_python():
    known = {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {word for word, _ in instructions()} <= known
    (base,) = of("FROM")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert base == "python:" + wanted.removeprefix(">=") + "-slim"


def test_every_copied_path_exists_and_is_let_in():
    for rest in of("COPY"):
        *sources, _target = shlex.split(rest)
        for source in sources:
            assert (ROOT / source).exists(), source
            assert kept(source), source
    assert not kept(".streamlit/secrets.toml") and not kept("runs/x/1/run.json") and not kept(".git/config")
    assert not kept("moe_viz/__pycache__/x.pyc") and kept("moe_viz/engine/worker/host.py")


def test_everything_the_app_needs_is_copied():
    copied = {Path(source).parts[0] for rest in of("COPY") for source in shlex.split(rest)[:-1]}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    left_out = {Path(path).parts[0] for path in tracked} - copied
    assert not [name for name in left_out if name.endswith(".py")]
    assert not left_out & {"moe_viz", "pages", "assets", "requirements.txt"}


def test_torch_is_the_pinned_one():
    (install,) = (rest for rest in of("RUN") if "pip install" in rest)
    pin = re.search(r"^torch==\S+$", (ROOT / "requirements.txt").read_text(), re.MULTILINE).group()
    word = re.search(r"\$\((grep [^)]*)\)", install).group(1)
    done = subprocess.run(word, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == pin
    assert "-r requirements.txt" in install and not re.search(r"==\d", install)


def test_commands_have_the_options_they_use():
    (command,) = map(json.loads, of("CMD"))
    assert command[:4] == ["python", "-m", "moe_viz", "serve"]
    assert options_given(command[4:]) == {"server.address": "0.0.0.0", "server.port": 8501}
    (check,) = of("HEALTHCHECK")
    asked = json.loads(check.partition(" CMD ")[2])
    assert make_parser().parse_args(asked[3:]).command and asked[:3] == ["python", "-m", "moe_viz"]
    port = dict(word.removeprefix("--").split("=") for word in command[4:])["server.port"]
    assert f":{port}/" in make_parser().parse_args(["health"]).url and of("EXPOSE") == [port]


def test_the_container_runs_as_nobody_special_and_keeps_its_store():
    (user,) = of("USER")
    assert any(f"useradd --create-home --uid 1000 {user}" in rest for rest in of("RUN"))
    words = [name for name, _ in instructions()]
    assert words.index("USER") > len(words) - 1 - words[::-1].index("RUN")  # nothing is installed by the user
    env = dict(pair.split("=", 1) for rest in of("ENV") for pair in shlex.split(rest))
    assert of("VOLUME") == [env["MOE_VIZ_HOME"]]
    assert {
        name.removeprefix(PREFIX).lower() for name in env if name.startswith(PREFIX)
    } <= Settings.model_fields.keys()


def written(value: object) -> str:
    """A setting's value as it stands in the table."""
    if value is None:
        return ""
    return (
        f"{value:,}"
        if isinstance(value, int) and value >= 10_000
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_as_it_is(name):
    info = Settings.model_fields[name]
    default = "the user's cache folder" if name == "home" else written(info.default)
    others = " | ".join(written(PROFILES[profile].get(name)) for profile in ("low_memory", "classroom"))
    unit = {"s": " (s)", "bytes": " (bytes)"}.get((info.json_schema_extra or {}).get("unit"), "")
    assert f"| `{PREFIX}{name.upper()}` | {default} | {others} | {info.description}{unit} |" in DOCS.splitlines()


def test_every_variable_in_the_documents_exists():
    named = set(re.findall(rf"{PREFIX}([A-Z_]+)", DOCS + (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named <= {word.upper() for word in (*Settings.model_fields, *APART)}


def test_commands_in_the_documents_exist():
    for command in re.findall(r"python -m moe_viz (\w+)", DOCS):
        assert make_parser().parse_args([command, *(["RUN"] if command in ("verify", "export") else [])])
    for name in re.findall(r"python -m benchmarks\.(\w+)", DOCS):
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name


@pytest.fixture(scope="module")
def below_a_prefix(tmp_path_factory):
    """The lab served below /moe: its port."""
    port = free_port()
    env = os.environ | {
        "MOE_VIZ_HOME": str(tmp_path_factory.mktemp("home")),
        "STREAMLIT_SERVER_BASE_URL_PATH": "moe",
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_HEADLESS": "true",
    }
    command = [sys.executable, "-m", "moe_viz", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def proxy(port: int) -> asyncio.Server:
    """What nginx and Caddy do with the snippets of the document: hand connections on, paths unchanged."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0)


@contextmanager
def proxy_of(name: str, port: int, folder: Path) -> Iterator[str]:
    """The program itself with the very snippet of the document, and nothing of its own but a port and places to write: its address."""
    snippet = re.search(rf"^```{name}\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)[1].replace("8501", str(port))
    address, rules = f"127.0.0.1:{free_port()}", folder / name
    if name == "nginx":
        places = " ".join(
            f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        server = f"http {{ access_log off; {places} server {{ listen {address}; {snippet} }} }}"
        rules.write_text(f"daemon off; {user} pid {folder}/pid; error_log stderr; events {{}} {server}")
        command = ["nginx", "-p", folder, "-c", rules]
    else:
        rules.write_text("{\n admin off\n}\n" + snippet.replace("lab.example.org", f"http://{address}"))
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", rules]
    env = os.environ | {"HOME": str(folder)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except OSError as error:
        return getattr(error, "code", 0), ""


async def visit(address: str) -> None:
    """Every page answers below the prefix, and one is open over the websocket until it shows figures."""
    end = time.monotonic() + 90
    while (await asyncio.to_thread(get, f"{address}/moe/healthz"))[0] != 200:
        assert time.monotonic() < end, "the server does not answer"
        await asyncio.sleep(0.2)
    for path in ("/moe/", "/moe/gates", "/moe/status", "/moe"):
        status, text = await asyncio.to_thread(get, address + path)
        assert status == 200 and "<title>" in text, path
    reader = await Reader(f"{address}/moe", page="status").open()
    await reader.until(lambda reader: any("MiB" in text for text in reader.texts()), 90)
    assert not reader.errors
    await reader.close()


def test_the_lab_works_below_a_path_prefix_behind_a_proxy(below_a_prefix):
    async def through() -> None:
        server = await proxy(below_a_prefix)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await visit(address)
        assert (await asyncio.to_thread(get, f"{address}/healthz"))[0] == 200
        server.close()

    asyncio.run(through())


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_the_snippets_of_the_document_work(below_a_prefix, name, tmp_path):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed on this machine")
    with proxy_of(name, below_a_prefix, tmp_path) as address:
        asyncio.run(visit(address))


@pytest.mark.parametrize("origin", ["https://lab.school.example", None])
def test_a_websocket_through_a_proxy_that_keeps_the_public_name(below_a_prefix, origin):
    async def visit() -> None:
        address = "ws://lab.school.example/moe/_stcore/stream"
        asked = connect(
            address, host="127.0.0.1", port=below_a_prefix, origin=origin, subprotocols=["streamlit", "no-token"]
        )
        async with asked as socket:
            assert socket.subprotocol == "streamlit"

    asyncio.run(visit())
