"""Whose code a thing is: what came with fbench has none to tell, a plug-in follows its source."""

from collections.abc import Callable
from pathlib import Path

from benchmark.core.plugins import code_sha256
from benchmark.core.registry import Registry

SOURCE = """
class Thing:
    def __init__(self, part=None):
        self.part = part

def made(size=1):
    return [size] and Thing()
"""
Write = Callable[[str, str], Path]


def _things() -> Registry[object]:
    return Registry("thing", group="fbench.no_such_group")


def test_a_thing_of_a_file_is_its_source_wherever_it_lies(write: Write) -> None:
    things = _things()
    first, moved = (write(f"{place}/mine.py", SOURCE) for place in "ab")
    edited = write("c/mine.py", SOURCE + "\n# edited\n")
    told = [code_sha256(things.create(f"{file}:Thing")) for file in (first, moved, edited)]
    assert told[0] == told[1] != told[2]
    assert all(told)


def test_what_a_function_of_a_file_makes_is_that_files(write: Write) -> None:
    things = _things()
    told = [
        code_sha256(things.create(f"{write(f'{place}.py', text)}:made"))
        for place, text in (("a", SOURCE), ("b", SOURCE + "\nMORE = 1\n"))
    ]
    assert told[0] != told[1]


def test_a_part_counts_as_well(write: Write) -> None:
    things = _things()
    whole = write("whole.py", SOURCE)
    told = []
    for text in (SOURCE, SOURCE + "\nMORE = 1\n"):
        thing = things.create(f"{whole}:Thing")
        thing.part = things.create(f"{write('part.py', text)}:Thing")  # type: ignore[attr-defined]
        told.append(code_sha256(thing))
    assert told[0] != told[1]


def test_a_package_is_its_source_and_version() -> None:
    """Here hypothesis; fbench and the standard library have their versions in the manifest."""
    import hypothesis.strategies as st

    assert code_sha256(st.integers())
    assert code_sha256(Path()) == ""
    assert code_sha256(_things()) == ""
