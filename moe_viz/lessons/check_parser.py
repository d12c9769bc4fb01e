"""Reading a check: one line of a small language, a part of Python's, becomes a tree. Nothing is ever handed to Python to evaluate.

An outermost `and` joins the *terms* of a check. What is not of the language is refused here, with the character where it stands: what has
been read never fails later, whatever the data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig
from moe_viz.spec.knobs import N_
from moe_viz.spec.sentence import Refused

LONGEST = 1000
DEEPEST = 20
LARGEST = 1e15
MOST_ROWS = 10_000
COLUMNS = {
    **dict.fromkeys(("steps", "step", "loss", "task_metric", "unserved"), 0),
    **dict.fromkeys(("experts_touched", "balance_loss", "z_loss", "max_load", "load_entropy", "token_entropy"), 1),
    **dict.fromkeys(("dead_experts", "drop_rate", "cv", "domain_information", "domain_null", "domain_null_mean"), 1),
    **dict.fromkeys(("place_information", "token_predictability", "router_task_gradient"), 1),
    **dict.fromkeys(("load", "importance", "asked"), 2),
}
"""Column of the run -> how many indices it is named with."""
LOOKED_AT = (
    "task_metric", "unserved", "experts_touched", "domain_information", "domain_null", "domain_null_mean", "place_information",
    "token_predictability", "router_task_gradient",
)  # fmt: skip
"""Columns that are measured when somebody looks, not at every step."""
GIVEN = ("answer", "edit", "truth", "twin", "paused")
KNOBS = frozenset(RunConfig.model_fields) | {
    word
    for registry in (ROUTER_OPTIONS, TASK_OPTIONS)
    for options in registry.values()
    for word in options.model_fields
    if word != "name"
}
OVER_ROWS = {"ever": "c", "always": "c", "held": "cn", "first": "cx", "last": "x", "mean": "xn"}
OVER_ROWS |= {"routes_lost": "n", "needed_factor": "n"}
"""Function over rows -> its arguments: a condition, any value, a number of rows written out."""
WITHIN_ROW = {"abs": 1, "len": 1, "dot": 2, "agree": 3}
OF_MANY = ("sum", "max", "min", "argmin", "argmax")
"""Functions of a list, or of two or more numbers."""


class CheckError(Refused):
    """A check that was refused. position: the character, from 0, where it was."""

    def __init__(self, position: int, template: str, **values: Any):
        self.position = position
        super().__init__(template, at=position + 1, **values)


@dataclass(frozen=True)
class Node:
    """A part of a check. kind: what it is;  name: of a column, knob, function or item of `given`;  parts: what it is made of.

    value  of a constant;  index  whole numbers written out after a column's name;  operators  between the parts of a comparison, sum or product
    begin, end  where it stands in the text
    """

    kind: Literal[
        "constant", "list", "column", "knob", "given", "item", "call", "not", "minus", "sum", "product", "compare",
        "and", "or",
    ]  # fmt: skip
    begin: int
    end: int
    name: str = ""
    value: Any = None
    index: tuple[int, ...] = ()
    parts: tuple[Node, ...] = ()
    operators: tuple[str, ...] = ()
    rows: int = field(default=0)

    def walk(self) -> list[Node]:
        """This part and all below it."""
        found: list[Node] = [self]
        for node in found:
            found.extend(node.parts)
        return found


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    begin: int

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


_TOKENS = re.compile(
    r"(?P<space>[ \t]+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<text>'[^'\\\n]*')|(?P<sign><=|>=|==|!=|[-<>+*/()\[\],.])",
    re.ASCII,
)
_COMPARES = ("<", "<=", ">", ">=", "==", "!=", "in", "not in")
_WORDS = ("and", "or", "not", "in", "True", "False")


@lru_cache(maxsize=512)
def read_check(text: str) -> Node:
    """The tree of a check. Raises `CheckError`."""
    if not isinstance(text, str) or not text.strip():
        raise CheckError(0, _EMPTY)
    if len(text) > LONGEST:
        raise CheckError(LONGEST, _LONG, most=LONGEST)
    return _Reader(text).whole()


def terms_of(node: Node) -> tuple[Node, ...]:
    """What the outermost `and` joins; a check without one is a single term."""
    return node.parts if node.kind == "and" else (node,)


def looked_at(text: str) -> tuple[str, ...]:
    """The columns of this check that somebody must look at to have them, each once. Raises `CheckError`."""
    names = (node.name for node in read_check(text).walk() if node.kind == "column")
    return tuple(dict.fromkeys(name for name in names if name in LOOKED_AT))


class _Reader:
    """A recursive-descent reader; `_deeper` keeps it from descending without end."""

    def __init__(self, text: str):
        self.text, self.tokens, self.at, self.depth = text, _split(text), 0, 0

    def whole(self) -> Node:
        node = self._or()
        if self._next.kind != "end":
            self._refuse(_STRAY, word=self._next.text)
        return node

    # -- words and signs ---------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> _Token:
        return self.tokens[self.at]

    def _take(self, *texts: str) -> _Token | None:
        """The next token where it is one of these signs or words."""
        token = self._next
        if token.kind in ("sign", "word") and token.text in texts:
            self.at += 1
            return token
        return None

    def _need(self, text: str) -> _Token:
        return self._take(text) or self._refuse(_EXPECTED, wanted=text, word=self._next.text or "…")

    def _refuse(self, template: str, position: int | None = None, **values: Any) -> Any:
        raise CheckError(self._next.begin if position is None else position, template, **values)

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            self._refuse(_DEEP, most=DEEPEST)

    # -- from `or` down to a name ------------------------------------------------------------------------------------------

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: Literal["and", "or"], below: Any) -> Node:
        parts = [below()]
        while self._take(word):
            parts.append(below())
        return parts[0] if len(parts) == 1 else Node(word, parts[0].begin, parts[-1].end, parts=tuple(parts))

    def _not(self) -> Node:
        word = self._take("not")
        if word is None:
            return self._compare()
        self._deeper()
        part = self._not()
        self.depth -= 1
        return Node("not", word.begin, part.end, parts=(part,))

    def _compare(self) -> Node:
        parts, operators = [self._sum()], []
        while (operator := self._comparison()) is not None:
            operators.append(operator)
            parts.append(self._sum())
        if not operators:
            return parts[0]
        return Node("compare", parts[0].begin, parts[-1].end, parts=tuple(parts), operators=tuple(operators))

    def _comparison(self) -> str | None:
        sign = self._take(*_COMPARES)
        if sign is not None:
            return sign.text
        if self._next.text == "not" and self._next.kind == "word" and self.tokens[self.at + 1].text == "in":
            self.at += 2
            return "not in"
        return None

    def _sum(self) -> Node:
        return self._chain("sum", ("+", "-"), self._product)

    def _product(self) -> Node:
        return self._chain("product", ("*", "/"), self._minus)

    def _chain(self, kind: Literal["sum", "product"], signs: tuple[str, str], below: Any) -> Node:
        parts, operators = [below()], []
        while (sign := self._take(*signs)) is not None:
            operators.append(sign.text)
            parts.append(below())
        if not operators:
            return parts[0]
        return Node(kind, parts[0].begin, parts[-1].end, parts=tuple(parts), operators=tuple(operators))

    def _minus(self) -> Node:
        sign = self._take("-")
        if sign is None:
            return self._with_items()
        self._deeper()
        part = self._minus()
        self.depth -= 1
        return Node("minus", sign.begin, part.end, parts=(part,))

    def _with_items(self) -> Node:
        node = self._atom()
        while self._next.kind == "sign" and self._next.text == "[":
            if node.kind not in ("list", "given", "item"):
                self._refuse(_NO_INDEX, word=self.text[node.begin : node.end][:40])
            self._need("[")
            self._deeper()
            key = self._or()
            self.depth -= 1
            node = Node("item", node.begin, self._need("]").end, parts=(*self._of_item(node), key))
        return node

    @staticmethod
    def _of_item(node: Node) -> tuple[Node, ...]:
        """A chain of brackets is one flat node: base and keys, however long it is."""
        return node.parts if node.kind == "item" else (node,)

    def _atom(self) -> Node:
        token = self._next
        if token.kind == "number":
            self.at += 1
            return Node("constant", token.begin, token.end, value=self._number(token))
        if token.kind == "text":
            self.at += 1
            return Node("constant", token.begin, token.end, value=token.text[1:-1])
        if (word := self._take("True", "False")) is not None:
            return Node("constant", word.begin, word.end, value=word.text == "True")
        if self._take("("):
            self._deeper()
            node = self._or()
            self.depth -= 1
            self._need(")")
            return node
        if self._take("["):
            return self._list(token)
        if token.kind == "name":
            self.at += 1
            return self._named(token)
        return self._refuse(_EXPECTED_VALUE, word=token.text or "…")

    def _number(self, token: _Token) -> float:
        value = float(token.text)
        if value > LARGEST:
            raise CheckError(token.begin, _LARGE, word=token.text[:40])
        return value

    def _list(self, begin: _Token) -> Node:
        self._deeper()
        items = [] if self._next.text == "]" else self._many()
        self.depth -= 1
        return Node("list", begin.begin, self._need("]").end, parts=tuple(items))

    def _many(self) -> list[Node]:
        items = [self._or()]
        while self._take(","):
            items.append(self._or())
        return items

    # -- names -------------------------------------------------------------------------------------------------------------

    def _named(self, token: _Token) -> Node:
        name = token.text
        if name in ("knob", "given", "twin"):
            self._need(".")
            word = self._next
            if word.kind != "name":
                self._refuse(_EXPECTED_NAME, word=word.text or "…")
            self.at += 1
            return self._of(name, word, token.begin)
        if name in OVER_ROWS or name in WITHIN_ROW or name in OF_MANY:
            return self._call(token)
        if name in COLUMNS:
            index, end = self._index(token)
            return Node("column", token.begin, end, name=name, index=index)
        raise CheckError(token.begin, _UNKNOWN, word=name[:40])

    def _of(self, name: str, word: _Token, begin: int) -> Node:
        known = {"knob": KNOBS, "given": GIVEN, "twin": COLUMNS}[name]
        if word.text not in known:
            raise CheckError(word.begin, _UNKNOWN, word=f"{name}.{word.text}"[:40])
        if name == "knob":
            return Node("knob", begin, word.end, name=word.text)
        if name == "given":
            return Node("given", begin, word.end, name=word.text)
        index, end = self._index(word)
        base = Node("given", begin, begin + len(name), name="twin")
        keys = (word.text, *index)
        constants = tuple(Node("constant", word.begin, end, value=key) for key in keys)
        return Node("item", begin, end, parts=(base, *constants))

    def _index(self, token: _Token) -> tuple[tuple[int, ...], int]:
        """The whole numbers after a column's name, as many as it has, and where they end."""
        found, end = [], token.end
        while len(found) < COLUMNS[token.text]:
            if not self._take("["):
                self._refuse(_MISSING_INDEX, word=token.text, count=COLUMNS[token.text])
            found.append(self._whole(0, 10**9))
            end = self._need("]").end
        return tuple(found), end

    def _whole(self, least: int, most: int) -> int:
        token = self._next
        if token.kind != "number" or not token.text.isdigit() or not least <= int(token.text) <= most:
            self._refuse(_WHOLE, word=token.text[:40] or "…", least=least, most=most)
        self.at += 1
        return int(token.text)

    def _call(self, token: _Token) -> Node:
        self._need("(")
        self._deeper()
        parts: list[Node] = []
        rows = 0
        if token.text in OVER_ROWS:
            for number, kind in enumerate(OVER_ROWS[token.text]):
                if number:
                    self._need(",")
                if kind == "n":
                    rows = self._whole(1, MOST_ROWS)
                else:
                    parts.append(self._or())
        else:
            parts = self._many()
            wanted = WITHIN_ROW.get(token.text)
            if wanted not in (None, len(parts)):
                self._refuse(_ARGUMENTS, token.begin, word=token.text, count=wanted, given=len(parts))
        self.depth -= 1
        end = self._need(")").end
        return Node("call", token.begin, end, name=token.text, parts=tuple(parts), rows=rows)


def _split(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        found = _TOKENS.match(text, at)
        if found is None:
            raise CheckError(at, _SIGN, word=text[at])
        kind, word = found.lastgroup or "", found.group()
        if kind == "number":
            _refuse_glued(text, found, word)
        if kind != "space":
            tokens.append(_Token("word" if word in _WORDS and kind == "name" else kind, word, at))
        at = found.end()
    return [*tokens, _Token("end", "", len(text))]


def _refuse_glued(text: str, found: re.Match[str], word: str) -> None:
    """`1abc`, `007` and `1.2.3` are no numbers."""
    after = text[found.end() : found.end() + 1]
    if re.match(r"[\w.]", after) or re.match(r"0\d", word):
        raise CheckError(found.start(), _NUMBER, word=(word + after)[:40])


_EMPTY = N_("character {at}: the check is empty")
_LONG = N_("character {at}: the check is longer than {most:,} characters")
_DEEP = N_("character {at}: nested more than {most} deep")
_SIGN = N_("character {at}: “{word}” does not belong to the language of checks")
_STRAY = N_("character {at}: “{word}” is not expected here")
_EXPECTED = N_("character {at}: “{wanted}” is expected, not “{word}”")
_EXPECTED_VALUE = N_("character {at}: a number, a text, a name or a bracket is expected, not “{word}”")
_EXPECTED_NAME = N_("character {at}: a name is expected, not “{word}”")
_UNKNOWN = N_("character {at}: “{word}” is not a name of the language of checks")
_NUMBER = N_("character {at}: “{word}” is not a number")
_LARGE = N_("character {at}: {word} is larger than 1e15")
_NO_INDEX = N_("character {at}: “{word}” has no items to choose from")
_MISSING_INDEX = N_("character {at}: “{word}” needs a number in brackets, times {count}")
_WHOLE = N_("character {at}: a whole number from {least} to {most}, written out, is expected, not “{word}”")
_ARGUMENTS = N_("character {at}: “{word}” takes {count} values, not {given}")
