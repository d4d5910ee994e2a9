"""One door for what can be added: divergences, objectives, scorers, prompt sets, base models.

Built-ins and everybody else's come in the same way::

    divergences: Registry[Divergence] = Registry(
        "divergence", group="fbench.divergences", modules=("trainers.divergences",)
    )


    @divergences.register()  # the class attribute `name`, or the snake-cased class name
    class ReverseKL: ...


    divergences.create("reverse-kl")  # an instance
    divergences.create("alpha(a=0.5)")  # with arguments
    divergences.create("mine.py:Tempered(a=2)")  # from a file
    divergences.create("expr: u*log(u)")  # from a text, for a maker registered with `text`
    divergences.call_of(thing)  # alpha(a=0.5): what goes into the manifest

Other packages register by an entry point of the group. Nothing is imported before the first look-up.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from benchmark.core import plugins
from benchmark.core.calls import Call, call_of, parse_call, recording, shortened
from benchmark.core.errors import UnknownNameError, UserError, close_matches
from benchmark.core.facts import refuse_missing_facts

T = TypeVar("T")
Maker = TypeVar("Maker", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One registered name.

    Attributes:
        name: As registered.
        load: Returns the class or function; imports it first where that was put off.
        summary: One line for ``fbench list``; empty: the first line of the docstring.
        lazy: Whether its module may not have been imported yet.
    """

    name: str
    load: Callable[[], Callable[..., T]]
    summary: str = ""
    lazy: bool = False

    def describe(self) -> str:
        """One line for ``fbench list``."""
        if self.summary:
            return self.summary
        doc = inspect.getdoc(self.load()) or ""
        return doc.strip().partition("\n")[0]


class Registry(Generic[T]):
    """The names of one kind of thing, and how to make it.

    Args:
        kind: What it holds, in words, for messages: "divergence".
        group: Entry-point group through which other packages register.
        modules: Modules that register the built-ins, imported at the first look-up;
            ``package.*`` means every module of that package whose name has no leading ``_``.
        states: The class of those things. What it annotates without a value each of them must state, as one
            of the values of a `Literal`.
        accept: Sees everything that `create` makes, and refuses it with a `UserError`.
    """

    def __init__(
        self,
        kind: str,
        *,
        group: str,
        modules: tuple[str, ...] = (),
        states: type | None = None,
        accept: Callable[[T], None] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._modules = modules
        self._states = states
        self._accept = accept
        self._entries: dict[str, Entry[T]] = {}
        self._with_text: dict[str, tuple[Entry[T], str]] = {}
        self._complete = False

    # --- the door -----------------------------------------------------------------------------

    def register(self, name: str = "", *, summary: str = "", text: str = "") -> Callable[[Maker], Maker]:
        """Decorator for a class or a function that makes one thing; records its arguments.

        Args:
            name: Lower case; empty: the attribute ``name``, or the snake-cased class name.
            summary: One line for ``fbench list``; empty: the first line of the docstring.
            text: An argument that is no literal and is written behind a colon, ``name: text``. Such a name
                means nothing alone, so `names` leaves it out; iterating shows it.
        """

        def door(maker: Maker) -> Maker:
            own = name or _name_of(maker)
            recorded = recording(maker, own, text)
            if text:
                shown = Entry[T](f"{own}:", lambda: recorded, summary)
                self._with_text[own] = (shown, text)
            else:
                self._add(Entry(own, lambda: recorded, summary))
            return recorded

        return door

    def register_lazy(self, name: str, target: str, *, summary: str = "") -> None:
        """Registers ``module:attribute`` that is imported only when it is made or described.

        A summary keeps ``fbench list`` from importing it as well.
        """

        def load() -> Callable[..., T]:
            found = plugins.load_object(target)
            entry = self._entries[normalise(name)]
            # The module may have used the decorator itself while it was imported.
            return recording(found, name) if entry.lazy else entry.load()

        self._add(Entry(name, load, summary, lazy=True))

    def _add(self, entry: Entry[T]) -> None:
        key = normalise(entry.name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.]*", key) or entry.name != entry.name.lower():
            raise ValueError(f"{self.kind} name {entry.name!r} is not lower case with _")
        if key in self._entries and not self._entries[key].lazy:
            raise ValueError(f"{self.kind} {entry.name!r} is registered twice")
        self._entries[key] = entry

    # --- looking up ---------------------------------------------------------------------------

    def names(self) -> list[str]:
        """All names, sorted."""
        self._import_all()
        return sorted(entry.name for entry in self._entries.values())

    def __iter__(self) -> Iterator[Entry[T]]:
        """All entries, sorted by name; then those that are made from a text."""
        named = [self._entries[normalise(name)] for name in self.names()]
        return iter([*named, *(shown for shown, _ in self._with_text.values())])

    def __contains__(self, name: str) -> bool:
        """Whether a name is registered, in any accepted spelling."""
        self._import_all()
        return normalise(name) in self._entries

    def get(self, name: str) -> Callable[..., T]:
        """The registered class or function; ``path.py:Name`` loads it from a file.

        Raises:
            UnknownNameError: if nobody registered the name; names the close matches.
            UserError: if the file or the package that has it cannot be loaded.
        """
        if plugins.is_file_target(name):
            return recording(plugins.load_from_file(name), name)
        if name not in self:
            raise UnknownNameError(self.kind, name, self.names())
        return self._entries[normalise(name)].load()

    def create(self, text: str, **defaults: Any) -> T:
        """Makes the thing that a text means, and sees whether it is acceptable.

        Args:
            text: ``name``, ``name(arg=value)``, ``path.py:Name(arg=value)``, or ``name: text`` for the few
                that are made from one.
            **defaults: Arguments used where the text says nothing; those that the maker does not
                take are an error, as in the text.

        Raises:
            UserError: for an unknown name or argument, a value that the maker refuses with
                ``ValueError``, or a thing that is refused when it is made.
        """
        thing = self.make(text, **defaults)
        if self._accept is not None:
            self._accept(thing)
        return thing

    def make(self, text: str, **defaults: Any) -> T:
        """As `create`, acceptable or not.

        Raises:
            UserError: for an unknown name or argument, a value that the maker refuses with
                ``ValueError``, or a thing that lacks a function or a fact.
        """
        self._import_all()
        call = self._parsed(text)
        maker, keywords = self._maker_of(call)
        if lacking := sorted(getattr(maker, "__abstractmethods__", ())):
            raise UserError(f"{self.kind} {shortened(text)} has no {' and no '.join(lacking)}", do="write it")
        signature = inspect.signature(maker)
        try:
            given = signature.bind_partial(*call.positional, **keywords)
            left = {key: value for key, value in defaults.items() if key not in given.arguments}
            bound = signature.bind(*call.positional, **{**left, **keywords})
        except TypeError as error:
            raise self._wrong_arguments(text, [*call.keywords, *defaults], signature, error) from error
        try:
            thing = maker(*bound.args, **bound.kwargs)
        except ValueError as error:
            raise UserError(f"{self.kind} {shortened(text)}: {error}") from error
        except SystemExit as left:
            raise UserError(f"{self.kind} {shortened(text)} raises SystemExit({left.code!r})") from left
        if self._states is not None and isinstance(thing, self._states):
            refuse_missing_facts(f"{self.kind} {shortened(text)}", thing, self._states)
        return thing

    def _parsed(self, text: str) -> Call:
        """The call that a text means.

        Raises:
            UserError: if it cannot be read; where it may have been a text of its own, names how to write one.
        """
        try:
            return parse_call(text, self.kind, self._with_text)
        except UserError as error:
            name = next(iter(self._with_text), "")
            a_call = re.match(r"\s*(\w+|[^(]*\.py:\w+)\s*\(", text) and text.rstrip().endswith(")")
            if not name or a_call:
                raise
            do = f"if that is a formula, write {shortened(f'{name}: {text.strip()}')!r}"
            raise UserError(error.given, do=do) from error

    def _maker_of(self, call: Call) -> tuple[Callable[..., T], dict[str, Any]]:
        """What makes the thing, and its arguments by name, a text among them."""
        if call.text is None:
            return self.get(call.name), dict(call.keywords)
        entry, argument = self._with_text[call.name.lower()]
        return entry.load(), {**call.keywords, argument: call.text}

    def call_of(self, thing: object) -> Call:
        """How a thing was made, default arguments included; for manifests and labels.

        Raises:
            ValueError: if it did not come through the door.
        """
        call = call_of(thing)
        if call is None:
            raise ValueError(f"{thing!r} was not made by a registered {self.kind}")
        return call

    def _wrong_arguments(
        self, text: str, names: list[str], signature: inspect.Signature, error: TypeError
    ) -> UserError:
        known = signature.parameters
        close = [c for name in names if name not in known for c in close_matches(name, known)]
        return UserError(
            f"{self.kind} {shortened(text)}: {error}",
            allowed=", ".join(map(str, known.values())) or "no arguments",
            do=f"did you mean {' or '.join(close)}?" if close else "",
        )

    def _import_all(self) -> None:
        if self._complete:
            return
        # Set first: a module that looks something up while it is imported must not start again.
        self._complete = True
        try:
            for module in self._modules:
                plugins.import_modules(module)
        except BaseException:
            self._complete = False
            raise
        for point in plugins.entry_points(self.group):
            # Loading may register through the decorator; then the name is taken by the thing itself.
            if normalise(point.name) not in self._entries:
                self.register_lazy(point.name, point.value, summary=point.summary)


def normalise(name: str) -> str:
    """One spelling for look-ups: lower case, ``_`` for ``-``.

    Example:
        >>> normalise("Reverse-KL")
        'reverse_kl'
    """
    return name.strip().lower().replace("-", "_")


def _name_of(maker: Callable[..., Any]) -> str:
    declared = getattr(maker, "name", None)
    if isinstance(declared, str) and declared:
        return declared
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", maker.__name__)
    return words.lower()
