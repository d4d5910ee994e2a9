"""Notes on a thing how it was made, so that a manifest can say ``alpha(a=0.5)``."""

import contextlib
import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar, cast

from benchmark.core.calls import NOTE, SETTLED, Call

Maker = TypeVar("Maker", bound=Callable[..., Any])

_NAME = "__fbench_name__"
_MODULE = "__fbench_module__"


def recording(maker: Maker, name: str, text: str = "") -> Maker:
    """Makes a class or function note, on everything it makes, its name and arguments.

    Also when it is called directly and not through a registry: ``Alpha(a=0.5)``. A class is
    changed in place, so that ``isinstance`` and pickling go on working.

    Args:
        maker: The class or function.
        name: As registered.
        text: The argument that is written behind a colon, if one is.
    """
    if vars(maker).get(_NAME) == name:
        return maker
    if isinstance(maker, type):
        _record_init(maker, name, text)
        return maker
    signature = inspect.signature(maker)

    @functools.wraps(maker)
    def made(*args: Any, **kwargs: Any) -> Any:
        thing = maker(*args, **kwargs)
        _note(thing, name, signature.bind(*args, **kwargs), text)
        _keep(thing, _MODULE, maker.__module__)
        return thing

    setattr(made, _NAME, name)
    return cast("Maker", made)


def call_of(thing: object) -> Call | None:
    """How a thing was made, default arguments included; None if nobody took note."""
    call = getattr(thing, NOTE, None)
    return call if isinstance(call, Call) else None


def module_of(thing: object) -> str:
    """The module of the function that made a thing; empty where its class was called."""
    return str(getattr(thing, _MODULE, ""))


def _record_init(cls: type, name: str, text: str) -> None:
    init: Callable[..., None] = cls.__init__  # type: ignore[misc]  # the unbound function
    signature = inspect.signature(cls)

    @functools.wraps(init)
    def recorded(self: object, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        # A subclass that calls super().__init__ is another thing, with arguments of its own.
        if type(self) is cls:
            _note(self, name, signature.bind(*args, **kwargs), text)

    # A class without an __init__ of its own would otherwise seem to take (*args, **kwargs).
    own = Parameter("self", Parameter.POSITIONAL_ONLY)
    shown = inspect.Signature([own, *signature.parameters.values()])
    setattr(recorded, "__signature__", shown)  # noqa: B010  # unknown to the type checker
    setattr(cls, "__init__", recorded)  # noqa: B010
    setattr(cls, _NAME, name)


def _note(thing: object, name: str, bound: inspect.BoundArguments, text: str) -> None:
    bound.apply_defaults()
    call = Call(name, bound.args, bound.kwargs)
    kinds = {p.kind for p in bound.signature.parameters.values()}
    if kinds <= {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}:
        # Named arguments read better, and stay right when a parameter is inserted later.
        arguments = {**bound.arguments, **getattr(thing, SETTLED, {})}
        call = Call(name, (), arguments)
        if text:
            behind = arguments.pop(text)
            call = Call(name, (), {k: v for k, v in arguments.items() if v is not None}, behind)
    _keep(thing, NOTE, call)


def _keep(thing: object, name: str, value: object) -> None:
    # Frozen dataclasses take a note only this way; things with slots go without one.
    with contextlib.suppress(AttributeError, TypeError):
        object.__setattr__(thing, name, value)
