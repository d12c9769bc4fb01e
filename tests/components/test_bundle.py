"""What the browser gets is made of the sources that stand beside it, needs nothing else, and can be imported as a view."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from moe_viz.components import bundle as scripts

ROOT = Path(__file__).parents[2]
MADE = json.loads((scripts.BUILT / "sources.json").read_text(encoding="utf-8"))
BUNDLES = sorted(MADE["bundles"])
STALE = 'is older than its sources: run "make bundles" and commit what it makes'


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_was_made_of_the_sources_as_they_are(name):
    record = MADE["bundles"][name]
    now = {path: hash_of(scripts.ASSETS / path) for path in record["sources"] if (scripts.ASSETS / path).is_file()}
    assert now == record["sources"], f"built/{name}.js {STALE}"
    assert hash_of(scripts.BUILT / f"{name}.js") == record["sha256"], f"built/{name}.js was changed by hand"


def test_bundles_were_made_by_the_builder_as_it_is():
    pinned = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]["esbuild"]
    assert MADE["builder"] == {"esbuild": pinned, "bundles.js": hash_of(ROOT / "bundles.js")}, f"each bundle {STALE}"


def test_every_source_is_in_a_bundle_and_every_built_file_is_one():
    inside = {path for record in MADE["bundles"].values() for path in record["sources"]}
    there = {path.relative_to(scripts.ASSETS).as_posix() for path in scripts.ASSETS.glob("*/*") if path.suffix == ".js"}
    assert {path for path in there if not path.startswith("built/")} == {
        path for path in inside if path.endswith(".js")
    }
    assert {path.stem for path in scripts.BUILT.glob("*.js")} == set(BUNDLES)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_one_module_with_a_default_export_and_asks_for_nothing_else(name):
    version, source = scripts.view_script(name)
    assert len(version) == 12 and source == scripts.bundle(name)
    assert len(re.findall(r"export\s*\{\w+ as default\}|export default", source)) == 1
    assert not re.search(r"\bimport\b|\brequire\(|\binnerHTML\b|\bMath\.random\b|\beval\(|new Function", source)


@pytest.mark.parametrize("name", ["connection", "gate_map", "picture", "routing", "step_strip"])
def test_the_stylesheets_travel_in_the_bundle(name):
    source = scripts.bundle(name)
    for sheet in ("shared/view.css", f"{name}/{name}.css"):
        assert sheet in MADE["bundles"][name]["sources"]
        rules = re.findall(r"^[^\n{]+\{[^\n]*\}$", (scripts.ASSETS / sheet).read_text(encoding="utf-8"), re.MULTILINE)
        assert rules and all(rule in source for rule in rules)


def test_the_loader_is_a_few_lines():
    assert scripts.loader().count("export default") == 1 and len(scripts.loader()) < 1500


def test_every_word_of_every_view_is_said_by_one_function():
    sources = [path for path in scripts.ASSETS.rglob("*.js") if path.parent != scripts.BUILT]
    for name in ("say", "percent"):
        defined = [path.name for path in sources if re.search(rf"(function|const) {name}\b", path.read_text("utf-8"))]
        assert defined == ["words.js"]


def test_the_lock_file_names_no_address():
    lock = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))
    assert lock["packages"] and not [path for path, package in lock["packages"].items() if "resolved" in package]
    assert all("integrity" in package for path, package in lock["packages"].items() if path)
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    assert lock["packages"][""]["devDependencies"] == wanted
