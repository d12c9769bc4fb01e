"""Joins a component's JavaScript modules into the one string that Streamlit components v2 accept.

The files in assets/components are real ES modules with `import` and `export`, so editors and checkers understand them. Here each
becomes a function scope that hands out its exports, in dependency order; the last one, with the default export, stays at the top.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from moe_viz import paths

ASSETS = paths.ASSETS / "components"

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\.(?:/|\./\w+/)(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|function) (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*//[^\n]*\n|^[ \t]*/\*[\s\S]*?\*/[ \t]*\n", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+|^\s*\n", re.MULTILINE)


def bundle(folder: str, modules: list[str]) -> str:
    """One script out of `assets/components/<folder>/<module>.js`, each listed after those that it imports, the entry last.

    "../other/module" is a module of another folder.
    """
    *parts, entry = [_IMPORT.sub(r"const \1 = module_\2;\n", _read(folder, f"{name}.js")) for name in modules]
    scopes = []
    for name, part in zip(modules, parts):
        exports = ", ".join(_EXPORT.findall(part))
        scopes.append(
            f"const module_{name.rpartition('/')[2]} = (() => {{\n{_EXPORT.sub('', part)}return {{ {exports} }};\n}})();\n"
        )
    return "".join([*scopes, entry])


def view_script(folder: str, modules: list[str]) -> tuple[str, str]:
    """Version and source of a view: its modules with `STYLE`, the text of `<folder>.css`, in scope. The version is a hash of the source."""
    style = json.dumps(_read(folder, f"{folder}.css"), ensure_ascii=False)
    source = f"const STYLE = {style};\n{bundle(folder, modules)}"
    return hashlib.sha256(source.encode()).hexdigest()[:12], source


def loader() -> str:
    """The script that is registered with Streamlit in place of the view's own, see loader.js."""
    return _read(".", "loader.js")


def as_bytes(data: dict[str, Any]) -> bytes:
    """A view's data as `loader` expects it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _read(folder: str, name: str) -> str:
    """A file without indentation and without comments on lines of their own."""
    return _INDENT.sub("", _COMMENT.sub("", (ASSETS / folder / name).read_text(encoding="utf-8")))
