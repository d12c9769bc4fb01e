"""What a stranger may send: values, words, ids and files for the fuzz tests. Strategies of hypothesis, repeatable."""

from __future__ import annotations

from hypothesis import strategies as st

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig

WORDS = sorted(
    set(RunConfig.model_fields)
    | {word for options in (*ROUTER_OPTIONS.values(), *TASK_OPTIONS.values()) for word in options.model_fields}
    | {"v", "lang", "page", "run", "name", "__class__", "model_config"}
)
NASTY = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))", "![x](https://evil.example/a.png)",
    "$\\href{https://evil.example}{x}$", ":red[x] :smile: :material/home:", "{0.__class__}", "{run}", "%s%n", "%(x)s", "'; drop table runs; --",
    "../../etc/passwd", "..\\..\\x", "/etc/passwd", "file:///etc/passwd", "\x00", "\u202egnp.exe", "a\u200bb\ufeff", "\U000e0041", "=1+1", "=cmd|' /C calc'!A0",
    "@SUM(A1)", "nan", "inf", "-inf", "1e400", "9" * 400, "0x10", "1_000", "٣", "none", "None", "null", "true", "full", "-1", "1.5", "", " ", "\n" * 50, "👩‍👩‍👧‍👦",
    "__import__('os').system('id')", "cos\nsystem\n(S'id'\ntR.", "A" * 5000,
]  # fmt: skip
"""Markup of every kind that a page could interpret, paths, numbers that are none, and code."""
BAD_IDS = [
    "", ".", "..", "../../../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "%2e%2e%2f", "~", "*", "A" * 15, "A" * 65, "A" * 10_000, "x\x00y", "milestones",
    "run.json", "я" * 20, "A" * 16 + "\n", " " + "A" * 20, "${HOME}", "con", "A" * 16 + "/../x",
]  # fmt: skip
"""What is no run id, and what would be a path."""

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
numbers = st.one_of(
    st.integers(),
    st.integers(-3, 70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([2**31, 2**63, -(2**63), 10**400, 0.0, -0.0, 1e-320]),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=6,
)
"""Anything that JSON can say, and NaN and infinities, which Python's reader lets through."""
plausible = st.one_of(
    st.integers(0, 20),
    st.floats(0, 2),
    st.booleans(),
    st.none(),
    st.sampled_from(["full", "ceil", "position", "bpe", "never", ""]),
)
words = st.one_of(st.sampled_from(WORDS), texts)
knobs = st.dictionaries(st.sampled_from(WORDS), plausible, min_size=1, max_size=2)
flats = (
    knobs
    | knobs
    | st.dictionaries(words, st.one_of(values, numbers, st.sampled_from([*ROUTER_OPTIONS, *TASK_OPTIONS])), max_size=8)
)
"""Knobs, good and bad words with any values."""
queries = st.dictionaries(
    words, st.one_of(texts, numbers.map(str), st.sampled_from([*ROUTER_OPTIONS, *TASK_OPTIONS])), max_size=12
)
"""The words of a link."""
