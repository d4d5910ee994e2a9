"""The random embedded world of tests/scorers, here as well.

Tests are no package (a dependency installs one of that name), so it is loaded by its path.
"""

import importlib.util
import sys
from pathlib import Path

_NAME = "fbench_random_world"
_FILE = Path(__file__).parent.parent / "scorers" / "conftest.py"

if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(_NAME, _FILE)
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_NAME])

world_folder = sys.modules[_NAME].world_folder
world = sys.modules[_NAME].world
make_set = sys.modules[_NAME].make_set
