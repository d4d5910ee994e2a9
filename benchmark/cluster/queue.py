"""Units of work, and which of those that wait a worker had better do next."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Unit:
    """A piece of work for one worker.

    Attributes:
        words: What it is, for messages.
        task: What the worker is given.
        group: A worker that has done a unit of a group had better do the others too.
    """

    words: str
    task: Any
    group: str = ""


class Queue:
    """Units that wait, by their groups."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._groups: dict[str, deque[Unit]] = {}
        self.extend(units)

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._groups.values()))

    def extend(self, units: Iterable[Unit]) -> None:
        """Puts units behind those of their groups."""
        for unit in units:
            self._groups.setdefault(unit.group, deque()).append(unit)

    def take(self, own: str, others: Mapping[str, int]) -> Unit:
        """The next unit: of the worker's own group, else of one that the fewest are at, else the first.

        Args:
            own: The group of the last unit that the worker did.
            others: How many workers are at each.
        """
        group = min(self._groups, key=lambda name: (name != own, others.get(name, 0)))
        unit = self._groups[group].popleft()
        if not self._groups[group]:
            del self._groups[group]
        return unit
