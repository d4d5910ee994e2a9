"""Finds circles of imports between files: ``python -m tools.circles``; exits with 1 if there is one.

An import inside a function counts, one below ``if TYPE_CHECKING`` does not. import-linter's own contract
(`acyclic_siblings`) sees neither a submodule that imports its package back nor a module outside packages, as
``fbench.py`` is, and takes two folders that import each other for a circle, although no two files do.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

ROOTS: Final = ("benchmark", "trainers", "tools", "fbench.py")


def circles(root: Path, names: Iterable[str] = ROOTS) -> list[list[str]]:
    """Every circle, as the modules along it; one import of each is passed over to find the next.

    Args:
        root: The folder that imports start from.
        names: The packages and modules below it to look at.
    """
    files = {_module(path.relative_to(root)): path for path in sorted(_files(root, names))}
    graph = {module: set(_imports(path, files)) - {module} for module, path in files.items()}
    found = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            # Each module of the list is imported by the next one.
            circle = error.args[1][::-1]
            found.append(circle)
            graph[circle[0]].discard(circle[1])
        else:
            return found


def _files(root: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        yield from [root / name] if name.endswith(".py") else (root / name).rglob("*.py")


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path, known: Iterable[str]) -> Iterator[str]:
    """The modules that a file imports, of those that are known."""
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = (f"{node.module}.{alias.name}" for alias in node.names)
            named = [name if name in known else str(node.module) for name in inside]
        else:
            continue
        yield from (name for name in named if name in known)


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """A node and every one below it, but for what only a type checker reads."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        children = node.orelse
    for child in children:
        yield from _run(child)


if __name__ == "__main__":
    there = circles(Path.cwd())
    for circle in there:
        print(" -> ".join(circle))
    sys.exit(bool(there))
