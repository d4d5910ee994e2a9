"""``name(arg=value)``: how a thing with arguments is written on a command line, and noted for the manifest.

Some things are made from a text that is no literal: ``name: text`` and ``name(arg=value): text``. What a
maker behind `recording` makes carries its own call, so that a manifest can say ``alpha(a=0.5)``.
"""

import ast
import contextlib
import functools
import inspect
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter
from typing import Any, TypeVar, cast

from benchmark.core.errors import UserError

Maker = TypeVar("Maker", bound=Callable[..., Any])

_NAME = "__fbench_name__"
_MODULE = "__fbench_module__"
# The attribute under which a made thing remembers its call.
NOTE = "__fbench_call__"
# ... and the one in which it may state, by name, arguments that it settled itself.
SETTLED = "__fbench_settled__"

_LONGEST = 80
_WITH_TEXT = re.compile(r"\s*(?P<head>(?P<name>\w+)\s*(\([^()]*\))?)\s*:(?P<text>.*)", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """A name and the arguments given with it.

    Attributes:
        name: As written: a registered name, or ``path.py:Name``.
        positional: Arguments without a name, in order.
        keywords: Arguments by name.
        text: What stands behind the colon; None without one.
    """

    name: str
    positional: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict, hash=False)
    text: str | None = None

    def __str__(self) -> str:
        """The call as one would type it; parsing it gives the same call.

        Example:
            >>> str(Call("alpha", (), {"a": 0.5})), str(Call("reverse_kl"))
            ('alpha(a=0.5)', 'reverse_kl')
            >>> str(Call("expr", (), {"knee": 5}, "-log(u)"))
            'expr(knee=5): -log(u)'
        """
        parts = [_show(value) for value in self.positional]
        parts += [f"{key}={_show(value)}" for key, value in self.keywords.items()]
        head = f"{self.name}({', '.join(parts)})" if parts else self.name
        return head if self.text is None else f"{head}: {self.text}"


def parse_call(text: str, kind: str = "name", with_text: Container[str] = ()) -> Call:
    """Reads ``name``, ``name(value)``, ``name(arg=value)`` and ``path.py:Name(arg=value)``.

    Values are Python literals, so nothing typed here can run code.

    Args:
        text: As typed.
        kind: What it should name, for the message.
        with_text: Names, in lower case, that may be followed by a colon and a text.

    Raises:
        UserError: if the brackets or a value cannot be read.

    Example:
        >>> parse_call("alpha(a=0.5)")
        Call(name='alpha', positional=(), keywords={'a': 0.5}, text=None)
    """
    behind = _WITH_TEXT.match(text)
    if behind is not None and behind["name"].lower() in with_text:
        return replace(parse_call(behind["head"], kind), text=behind["text"].strip())
    name, bracket, rest = text.strip().partition("(")
    name = name.strip()
    example = f"{shortened(name) or 'name'}(arg=0.5) with plain values: numbers, 'text', True, None, lists"
    wrong = UserError(f"cannot read {shortened(text)!r} as a {kind}", allowed=example)
    if not name:
        raise wrong
    if not bracket:
        return Call(name)
    try:
        tree = ast.parse(f"_({rest}", mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            raise wrong
        positional = tuple(ast.literal_eval(value) for value in tree.args)
        keywords = {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords if k.arg}
        if len(keywords) != len(tree.keywords):
            raise wrong
    except (SyntaxError, ValueError) as error:
        raise wrong from error
    return Call(name, positional, keywords)


def shortened(text: str) -> str:
    """A text for a message, which has one line.

    Example:
        >>> shortened("alpha"), len(shortened("a" * 1000))
        ('alpha', 80)
    """
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _show(value: object) -> str:
    """An argument that was itself made by a call, such as an objective's divergence, shows it."""
    return str(getattr(value, NOTE, None) or repr(value))


# --- notes on what was made -----------------------------------------------------------------------


def recording(maker: Maker, name: str, text: str = "") -> Maker:
    """Makes a class or function note, on everything it makes, its name and arguments.

    Also when it is called directly and not through a registry: ``Alpha(a=0.5)``. A class is changed in place,
    so that ``isinstance`` and pickling go on working.

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
