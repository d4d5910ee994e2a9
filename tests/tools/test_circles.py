"""No file imports one that imports it, over however many others; and a planted circle is found."""

from pathlib import Path

import pytest

from tools.circles import ROOTS, circles

ROOT = Path(__file__).resolve().parents[2]


def test_no_files_of_ours_import_each_other_in_a_circle() -> None:
    assert [" -> ".join(circle) for circle in circles(ROOT, ROOTS)] == []


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"a/__init__.py": "from a.b import x", "a/b.py": "x = 1"}, []),
        ({"a/__init__.py": "from a.b import x", "a/b.py": "from a import y"}, [{"a", "a.b"}]),
        ({"a/b.py": "import a.c", "a/c.py": "def f():\n    from a import b"}, [{"a.b", "a.c"}]),
        (
            {
                "a/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.c",
                "a/c.py": "import a.b",
            },
            [],
        ),
        (
            {
                "a/b.py": "if TYPE_CHECKING:\n    import a.c\nelse:\n    import a.c",
                "a/c.py": "import a.b",
            },
            [{"a.b", "a.c"}],
        ),
        (
            {"a/b.py": "from d import x", "d.py": "from a.c import y", "a/c.py": "import a.b"},
            [{"a.b", "a.c", "d"}],
        ),
        (
            {"a/b.py": "import a.c", "a/c.py": "import a.b", "a/d.py": "import a.e", "a/e.py": "import a.d"},
            [{"a.b", "a.c"}, {"a.d", "a.e"}],
        ),
        ({"a/b.py": "import os, json", "a/c.py": "import a.b"}, []),
    ],
)
def test_a_planted_circle_is_found(tmp_path: Path, files: dict[str, str], found: list[set[str]]) -> None:
    for name, text in {"a/__init__.py": "", **files}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = circles(tmp_path, ["a", *(name for name in files if "/" not in name)])
    assert sorted(map(sorted, map(set, seen))) == sorted(map(sorted, found))
    for circle in seen:
        assert circle[0] == circle[-1]
