"""What all records with sequences have in common."""

from dataclasses import fields
from typing import Any


class Record:
    """A frozen dataclass that takes lists where it holds tuples, so that it can be compared and hashed."""

    def __post_init__(self) -> None:
        """Turns lists into tuples, those in lists as well."""
        for one in fields(self):  # type: ignore[arg-type]  # every record is a dataclass
            value = getattr(self, one.name)
            if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
                object.__setattr__(self, one.name, _as_tuple(value))


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list | tuple) else value
