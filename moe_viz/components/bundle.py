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
SHARED = ["../picture/ink", "../picture/walk"] + [
    f"../shared/{name}" for name in ("words", "theme", "signs", "mount", "paper")
]
"""The modules that canvas views have in common, in the order of `bundle`."""

# What may stand over a statement's head and is none: comments and quoted text, template literals with their lines included.
_TEXT = r"//[^\n]*|/\*[\s\S]*?\*/|`(?:\\[\s\S]|[^`\\])*`|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
_IMPORT = r'^import \{(?P<names>[^}]*)\} from "\.(?:/|\./\w+/)(?P<module>\w+)\.js";'
_EXPORT = r"^export (?=(?:const|let|var|class|(?:async )?function\*?) (?P<export>\w+))"
_ENTRY = r"^export (?=default )"
_OTHER = r"^(?:import|export)\b[^\n]*"
_STATEMENT = re.compile(
    f"(?P<import>{_IMPORT})|(?P<named>{_EXPORT})|(?P<entry>{_ENTRY})|(?P<other>{_OTHER})|{_TEXT}", re.MULTILINE
)


def bundle(folder: str, modules: list[str]) -> str:
    """One script out of `assets/components/<folder>/<module>.js`, each listed after those that it imports, the entry last.

    "../other/module" is a module of another folder.  An exported `let` is handed out as it is when its module has run.
    Raises ValueError, naming file and line, for a form of import or export that is not understood here.
    """
    texts = [_join(f"{name}.js", _read(folder, f"{name}.js")) for name in modules]
    scopes = [
        f"const module_{name.rpartition('/')[2]} = (() => {{\n{text}return {{ {', '.join(exports)} }};\n}})();\n"
        for name, (text, exports) in zip(modules[:-1], texts)
    ]
    return "".join([*scopes, texts[-1][0]])


def _join(name: str, text: str) -> tuple[str, list[str]]:
    """A module's text with its imports taken from the scopes before it and without `export`, and the names it exports."""
    exports = []

    def replaced(match: re.Match) -> str:
        if match["import"]:
            return f"const {{{match['names'].replace(' as ', ': ')}}} = module_{match['module']};"
        if match["named"] is not None:
            exports.append(match["export"])
            return ""
        if match["other"]:
            raise ValueError(f"{name}: {match['other']}: this form is not bundled; see components/bundle.py")
        return match.group()

    return _STATEMENT.sub(replaced, text), exports


def view_script(folder: str, modules: list[str]) -> tuple[str, str]:
    """Version and source of a view: its modules with `STYLE`, the text of `shared/view.css` and `<folder>.css`, in scope. The version is a hash of the source."""
    style = json.dumps(_read("shared", "view.css") + _read(folder, f"{folder}.css"), ensure_ascii=False)
    source = f"const STYLE = {style};\n{bundle(folder, modules)}"
    return hashlib.sha256(source.encode()).hexdigest()[:12], source


def loader() -> str:
    """The script that is registered with Streamlit in place of the view's own, see loader.js."""
    return _read(".", "loader.js")


def as_bytes(data: dict[str, Any]) -> bytes:
    """A view's data as `loader` expects it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _read(folder: str, name: str) -> str:
    return (ASSETS / folder / name).read_text(encoding="utf-8")
