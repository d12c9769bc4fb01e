"""The bundle runs as the modules would: every form of export, and nothing inside of quoted text is touched."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from moe_viz.components import bundle as made

NODE = shutil.which("node")
TEMPLATE = "`\n    indented\n// no comment\nexport const inside = 1;\n  /* kept */\n`"


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setattr(made, "ASSETS", tmp_path)
    for name in ("view", "other"):
        (tmp_path / name).mkdir()

    def write(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name.replace("__", "/")).with_suffix(".js").write_text(text, encoding="utf-8")

    return write


EVERY_EXPORT = f"""// export const commented = 1;
export const text = {TEMPLATE};
export let counted = 2;
export var old = 3;
export class Box {{ size() {{ return 4; }} }}
export function plain() {{ return 5; }}
export async function later() {{ return 6; }}
export function* many() {{ yield 7; }}
const quote = '"', slashes = "// export const quoted = 1;", pattern = /^"|"$/g;
"""
ENTRY = """import { text, counted, old, Box,
  plain as simple } from "../other/all.js";
import { later, many } from "../other/all.js";
export default async function view() {
  return [text, counted, old, new Box().size(), simple(), await later(), [...many()][0]];
}
"""


@pytest.mark.skipif(NODE is None, reason="node is not installed; the browser tests run the bundle")
def test_every_form_of_export_arrives_and_template_literals_keep_their_lines(assets, tmp_path):
    assets(other__all=EVERY_EXPORT, view__view=ENTRY)
    script = made.bundle("view", ["../other/all", "view"])
    (tmp_path / "run.mjs").write_text(script + "\nconsole.log(JSON.stringify(await view()));\n", encoding="utf-8")
    said = subprocess.run([NODE, tmp_path / "run.mjs"], check=True, capture_output=True, timeout=60).stdout
    assert json.loads(said) == [TEMPLATE[1:-1], 2, 3, 4, 5, 6, 7]


def test_the_text_of_a_module_is_left_as_it_is(assets):
    assets(other__all=EVERY_EXPORT, view__view=ENTRY)
    script = made.bundle("view", ["../other/all", "view"])
    assert TEMPLATE in script and "// export const commented = 1;" in script
    exported = re.search(r"return \{ (.*) \};\n\}\)\(\);\n", script)[1]
    assert exported.split(", ") == ["text", "counted", "old", "Box", "plain", "later", "many"]


@pytest.mark.parametrize(
    "line",
    ['export * from "./x.js";', "export { a, b };", 'import all from "./x.js";', 'import * as all from "./x.js";'],
)
def test_a_form_that_is_not_understood_is_named(assets, line):
    assets(view__view=f"{line}\nexport default function view() {{}}\n")
    with pytest.raises(ValueError, match=re.escape(line)):
        made.bundle("view", ["view"])


def test_every_word_of_every_view_is_said_by_one_function():
    scripts = {path: path.read_text(encoding="utf-8") for path in Path(made.ASSETS).rglob("*.js")}
    for name in ("say", "percent"):
        defined = [path.name for path, text in scripts.items() if re.search(rf"(function|const) {name}\b", text)]
        assert defined == ["words.js"]
