"""Facts that a class has to state about itself, in attributes."""

import inspect
from typing import Any, ClassVar, Literal, get_args, get_origin

from benchmark.core.errors import UserError


def refuse_missing_facts(called: str, thing: object, states: type) -> None:
    """Refuses a thing that lacks a fact, or states one that cannot be.

    Args:
        called: What it is called, with its kind, for the message.
        thing: An instance.
        states: The class that annotates the facts without giving them a value.

    Raises:
        UserError: for the first such fact; names it, and what it may be.
    """
    for fact, annotation in inspect.get_annotations(states).items():
        if fact.startswith("_"):
            continue
        values = _allowed(annotation)
        if not hasattr(thing, fact):
            what = f"does not state `{fact}`"
        elif values and getattr(thing, fact) not in values:
            what = f"states the {fact} {getattr(thing, fact)!r}"
        else:
            continue
        value = repr(values[0]) if values else "..."
        raise UserError(
            f"{called} {what}",
            allowed=", ".join(values),
            do=f"state it as an attribute of the class, {fact} = {value}",
        )


def _allowed(annotation: Any) -> tuple[str, ...]:
    """The values of a `Literal`, in a `ClassVar` or not; none for any other annotation."""
    origin: Any = get_origin(annotation)
    if origin is ClassVar:
        return _allowed(get_args(annotation)[0])
    return get_args(annotation) if origin is Literal else ()
