"""How a declared call goes to another process: what is declared once in `protocol.Engine` is all that client, worker and cluster know of it.

`call` turns a typed declaration into the method that a client has: it makes a `Request` of its arguments and hands that to the object's
`carry`. At the other end `Call.do` does it with the method of the same name that a `Host` has. A type checker sees plain methods throughout.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Request(Generic[R]):
    """One call with its arguments, as it goes through a pipe; its answer is an R. name: of a declared call, or of anything a stranger made up."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Call:
    """What is declared of a call.

    reads: it changes nothing that is kept of a run. starts: it needs no run that is there already, so any worker can do it, and another one
    where one is lost. born: the ids of the runs it has made, from its result. signature: without the engine itself.
    """

    name: str
    signature: inspect.Signature
    reads: bool
    starts: bool
    born: Callable[[Any], list[str]]

    def arguments(self, request: Request[Any]) -> dict[str, Any]:
        """Arguments of a request by name, defaults included. Raises TypeError where they are not those of this call."""
        bound = self.signature.bind(*request.args, **request.kwargs)
        bound.apply_defaults()
        return bound.arguments

    def do(self, host: Any, request: Request[R]) -> R:
        """The answer of `host`, an `Engine` that does its calls itself."""
        return getattr(host, self.name)(*request.args, **request.kwargs)


@overload
def call(declared: F) -> F: ...
@overload
def call(*, reads: bool = False, starts: bool = False, born: Callable[[Any], list[str]] = ...) -> Callable[[F], F]: ...
def call(
    declared: Callable[..., Any] | None = None,
    *,
    reads: bool = False,
    starts: bool = False,
    born: Callable[[Any], list[str]] = lambda _: [],
) -> Any:
    """Declare a call: a method whose signature and docstring are all there is; see `Call` for what can be said of it."""
    if declared is None:
        return functools.partial(call, reads=reads, starts=starts, born=born)
    whole = inspect.signature(declared)
    signature = whole.replace(parameters=list(whole.parameters.values())[1:])
    about = Call(declared.__name__, signature, reads, starts, born)

    @functools.wraps(declared)
    def carried(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.carry(Request(about.name, args, kwargs))

    vars(carried)["call"] = about
    return carried


def call_of(method: Callable[..., Any]) -> Call | None:
    """What is declared of a method of `Engine`; None of any other."""
    return getattr(method, "call", None)


def request(method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> Request[R]:
    """`request(Engine.read, run_id)`: what asks for that. Raises TypeError for a method that is no call."""
    if (about := call_of(method)) is None:
        raise TypeError(f"{method!r} is not a call of the engine")
    return cast("Request[R]", Request(about.name, args, kwargs))


def calls_of(engine: type) -> dict[str, Call]:
    """All calls that a class declares, by name."""
    return {name: about for name, method in vars(engine).items() if (about := call_of(method)) is not None}
