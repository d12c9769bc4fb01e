"""The shape of the house: which room may import which, and that the web process stays free of torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "moe_viz"

ALLOWED = {
    "spec": set(),
    "moe": {"spec"},
    "mixtures": {"spec"},
    "models": {"moe", "spec", "tasks"},
    "tasks": {"moe", "spec"},
    "training": {"tasks", "models", "mixtures", "moe", "spec", "records"},
    "records": {"spec"},
    "engine": {"training", "records", "spec"},
    "charts": {"records", "spec"},
    "components": {"records", "spec", "charts"},
    "lessons": {"records", "spec"},
    "systems": {"records", "spec"},
    "ui": {"charts", "components", "lessons", "systems", "engine", "records", "spec"},
}
WEB = ("spec", "records", "charts", "components", "lessons", "systems", "ui")


def sources(room):
    return sorted((PACKAGE / room).rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_of(path):
    names = (name.split(".") for name in imports(path))
    return {parts[1] for parts in names if parts[0] == "moe_viz" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir()}


@pytest.mark.parametrize("room", ALLOWED)
def test_arrows_point_one_way(room):
    for path in sources(room):
        extra = rooms_of(path) - ALLOWED[room] - {room}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}; {room} may import {sorted(ALLOWED[room])}"


def test_settings_know_no_room_but_the_spec_and_are_read_by_engine_and_page_only():
    assert rooms_of(PACKAGE / "settings.py") == {"spec"}
    for room in ALLOWED.keys() - {"engine", "ui"}:
        for path in sources(room):
            assert not any(name.startswith("moe_viz.settings") for name in imports(path)), path


def test_the_environment_is_read_in_one_place():
    reading = re.compile(r"os\.getenv|environ(\.get\(|\[)")
    found = [path for path in PACKAGE.rglob("*.py") if reading.search(path.read_text(encoding="utf-8"))]
    ours = {
        "settings.py",
        "engine/client/local.py",
        "engine/cluster/connect.py",
    }  # the last two pass it on to worker and Ray
    assert {path.relative_to(PACKAGE).as_posix() for path in found} <= ours


def test_every_room_is_listed():
    rooms = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert rooms <= ALLOWED.keys()


@pytest.mark.parametrize(
    "room", ["records", "charts", "moe", "spec", "engine", "training", "tasks", "models", "systems"]
)
def test_figures_and_layers_need_no_streamlit(room):
    for path in sources(room):
        assert not [name for name in imports(path) if name.split(".")[0] == "streamlit"], path


def test_web_sources_never_name_torch():
    pages = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
    for path in [*pages, *(p for room in WEB for p in sources(room))]:
        assert not [name for name in imports(path) if name.split(".")[0] == "torch"], path


def web_modules():
    """The names of all modules of the web side."""
    files = (path for room in WEB for path in sources(room) if path.name != "__init__.py")
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]


def test_importing_the_web_side_does_not_load_torch():
    modules = web_modules()
    modules += ["moe_viz.engine.client", "moe_viz.engine.protocol", "moe_viz.engine.worker.main"]
    code = f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\nheavy = {{'torch', 'sklearn', 'scipy', 'transformers'}} & sys.modules.keys()\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


ENGINE = {
    "calls": set(),
    "protocol": {"calls"},
    "limits": set(),
    "health": set(),
    "device": set(),
    "client": {"calls", "protocol", "limits", "health"},
    "storage": {"protocol", "device"},
    "worker": {"calls", "protocol", "limits", "health", "device", "storage"},
    "cluster": {"calls", "protocol", "limits", "health", "device", "storage", "worker"},
    "cluster/demo": {"protocol", "limits", "client", "cluster"},
}
"""Part of the engine -> the parts it may import. The demonstration of a cluster stands outside: it uses the engine as a page does."""


def test_arrows_inside_the_engine_point_one_way():
    for path in sources("engine"):
        inside = path.relative_to(PACKAGE / "engine").with_suffix("").as_posix()
        part = inside if inside in ENGINE else inside.split("/")[0]
        if part == "__init__":
            assert not list(imports(path)), path
            continue
        names = (name.split(".") for name in imports(path))
        used = {parts[2] for parts in names if parts[:2] == ["moe_viz", "engine"] and len(parts) > 2}
        extra = used - ENGINE[part] - {part}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}; it may import {sorted(ENGINE[part])}"


def test_the_web_process_knows_the_engine_only_by_its_client():
    code = (
        f"import sys, importlib\nfor m in {[*web_modules(), 'moe_viz.engine.client']!r}: importlib.import_module(m)\n"
        "sides = ('worker', 'storage', 'cluster')\n"
        "extra = [m for m in sys.modules if m.startswith(tuple(f'moe_viz.engine.{side}' for side in sides))]\n"
        "assert not extra, extra"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def circle(room):
    """The modules of one import circle inside a room, imports for the type checker included; none where there is no circle."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in sources(room)}
    needs = {name: {other for other in imports(path) if other in modules} for name, path in modules.items()}
    while free := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in free:
            del needs[name]
    return sorted(needs)


@pytest.mark.parametrize("room", ALLOWED)
def test_no_import_circle_inside_a_room(room):
    assert not circle(room)


def test_what_looks_at_a_run_stands_above_it_and_below_the_trainer():
    def ours(path):
        return {name for name in imports(path) if name.startswith("moe_viz.training.")}

    for folder in ("metrics", "files", "inspect"):
        for path in sources(f"training/{folder}"):
            assert not {name for name in ours(path) if name.startswith("moe_viz.training.trainer")}, path
    for path in sources("training/metrics"):
        assert all(name.startswith("moe_viz.training.metrics.") for name in ours(path)), path
    run = {name for name in ours(PACKAGE / "training" / "run.py") if ".inspect." in name}
    assert all(name.startswith("moe_viz.training.inspect.probe") for name in run)


@pytest.mark.parametrize(
    "room",
    sorted(path.parent for path in PACKAGE.rglob("__init__.py")),
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_each_room_says_what_it_is_for_what_it_may_import_and_what_it_must_not_know(room):
    words = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    if room == PACKAGE:
        return
    text = " ".join(words.split())
    assert "may import" in text.lower() and "must not know" in text.lower(), f"{room}: {words}"
    if room.parent == PACKAGE:
        listed = re.search(r"May import: (.*?)\. Must not know", text).group(1)
        assert set(re.findall(r"`(\w+)`", listed)) == ALLOWED[room.name], room


SHARED = {
    "i18n": set(),
    "escape": {"i18n"},
    "words": {"i18n", "escape"},
    "what_is_seen": set(),
    "server/in_flight": set(),
    "server/streamlit_patches": {"server/in_flight"},
    "session": {"i18n", "escape", "words", "server/streamlit_patches"},
    "server": {"i18n", "escape", "words", "what_is_seen", "session", "server/in_flight", "server/streamlit_patches"},
    "widgets": {"i18n", "escape", "words", "session", "server", "server/in_flight", "server/streamlit_patches"},
}
"""What pages share -> the other parts of it that it may import. A page may import all of them, and no other page."""


def part_of_ui(module):
    """The part of `SHARED`, or the page, that a module below `moe_viz.ui` belongs to."""
    inside = "/".join(module.split(".")[2:4])
    return inside if inside in SHARED else inside.split("/")[0]


def test_arrows_inside_the_pages_point_one_way():
    for path in sources("ui"):
        part = part_of_ui(".".join(path.relative_to(ROOT).with_suffix("").parts))
        # what is imported from a module is listed with its name, too: the shorter one says no more, and may be only the folder
        used = {part_of_ui(name) for name in imports(path) if name.startswith("moe_viz.ui.") and name.count(".") > 2}
        extra = used - SHARED.get(part, SHARED.keys()) - {part}
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}"
