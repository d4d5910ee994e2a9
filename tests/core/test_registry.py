"""One door: what is registered is found in any spelling, and says how it was made."""

import importlib
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmark.core import plugins
from benchmark.core.errors import UnknownNameError, UserError
from benchmark.core.registry import Registry


@dataclass(frozen=True)
class Alpha:
    """The alpha family."""

    a: float
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.a == 1:
            raise ValueError("a = 1 is reverse_kl")


@pytest.fixture
def things() -> Registry[object]:
    registry: Registry[object] = Registry("divergence", group="fbench.tests")

    @registry.register()
    class ReverseKL:
        """Penalises what the reference would not do."""

    @registry.register("mixture")
    def mixture(*parts: str, weight: float = 0.5) -> list[str]:
        """Several at once."""
        return [*parts, str(weight)]

    registry.register("alpha")(type("Alpha", (Alpha,), {"__doc__": Alpha.__doc__}))
    return registry


@pytest.mark.parametrize("name", ["reverse_kl", "reverse-kl", "Reverse-KL", " reverse_kl "])
def test_a_name_is_found_in_every_accepted_spelling(things: Registry[object], name: str) -> None:
    assert name in things
    assert type(things.create(name)).__name__ == "ReverseKL"


def test_names_and_summaries_are_listed(things: Registry[object]) -> None:
    assert things.names() == ["alpha", "mixture", "reverse_kl"]
    assert [entry.describe() for entry in things][2] == "Penalises what the reference would not do."


@pytest.mark.parametrize("text", ["alpha(0.5)", "alpha(a=0.5)", "ALPHA( a = 0.5 )", "alpha(a=.5, scale=1.)"])
def test_arguments_are_recorded_with_their_defaults(things: Registry[object], text: str) -> None:
    made = things.create(text)
    assert str(things.call_of(made)) == "alpha(a=0.5, scale=1.0)"
    assert things.create(str(things.call_of(made))) == made


def test_a_thing_made_directly_is_recorded_too(things: Registry[object]) -> None:
    alpha = things.get("alpha")
    assert str(things.call_of(alpha(a=2.0))) == "alpha(a=2.0, scale=1.0)"


def test_a_subclass_is_not_mistaken_for_what_it_extends(things: Registry[object]) -> None:
    base = things.get("alpha")
    assert isinstance(base, type)
    child = type("Child", (base,), {})
    with pytest.raises(ValueError, match="not made by a registered divergence"):
        things.call_of(child(a=2.0))


def test_the_record_survives_a_worker_process() -> None:
    registry: Registry[object] = Registry("thing", group="fbench.tests")
    registry.register("pickled")(Pickled)
    again = pickle.loads(pickle.dumps(registry.create("pickled(x=3)")))
    assert str(registry.call_of(again)) == "pickled(x=3)"


class Pickled:
    def __init__(self, x: int) -> None:
        self.x = x


def test_defaults_fill_what_the_text_leaves_out(things: Registry[object]) -> None:
    made = things.create("alpha(a=0.5)", a=3.0, scale=2.0)
    assert str(things.call_of(made)) == "alpha(a=0.5, scale=2.0)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("revers_kl", "did you mean reverse_kl?"),
        ("zzz", "allowed: alpha, mixture, reverse_kl"),
        ("alpha", "missing a required argument: 'a'"),
        ("alpha(scal=2, a=0)", "did you mean scale?"),
        ("alpha(1, 2, 3)", "too many positional arguments"),
        ("alpha(a=1)", "a = 1 is reverse_kl"),
        ("alpha(a=exit())", "cannot read"),
        ("alpha(a=", "cannot read"),
        ("alpha(a=2) + 1", "cannot read"),
        ("alpha(**{'a': 2})", "cannot read"),
        ("(3)", "cannot read"),
        ("", "cannot read"),
    ],
)
def test_what_cannot_be_made_is_one_line_that_helps(things: Registry[object], text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        things.create(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["reverse_kl", "reverse-kl"])
def test_a_name_is_registered_once(things: Registry[object], name: str) -> None:
    with pytest.raises(ValueError, match="registered twice"):
        things.register(name)(Alpha)


def test_names_are_lower_case(things: Registry[object]) -> None:
    with pytest.raises(ValueError, match="not lower case"):
        things.register("KL")(Alpha)


def test_a_file_brings_its_own(things: Registry[object], write: Callable[[str, str], Path]) -> None:
    path = write(
        "mine.py", "class Tempered:\n    def __init__(self, a: float) -> None:\n        self.a = a\n"
    )
    made = things.create(f"{path}:Tempered(a=2.0)")
    assert vars(made)["a"] == 2.0
    assert str(things.call_of(made)) == f"{path}:Tempered(a=2.0)"
    assert type(things.create(f"{path}:Tempered(1.0)")) is type(made)
    assert "tempered" not in things


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine.py:Temperd", "did you mean Tempered?"),
        ("mime.py:Tempered", "did you mean mine.py?"),
        ("broken.py:X", "broken.py fails when it is run: ZeroDivisionError"),
    ],
)
def test_a_file_that_does_not_have_it_says_so(
    things: Registry[object], write: Callable[[str, str], Path], text: str, said: str
) -> None:
    folder = write("mine.py", "class Tempered: pass\n").parent
    write("broken.py", "1 / 0\n")
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        things.create(f"{folder}/{text}")


def test_nothing_is_imported_before_it_is_needed(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("fbench_lazy_example.py", "class Slow:\n    '''Heavy.'''\n").parent
    monkeypatch.syspath_prepend(folder)
    registry: Registry[object] = Registry("scorer", group="fbench.tests")
    registry.register_lazy("slow", "fbench_lazy_example:Slow", summary="told without an import")
    assert [entry.describe() for entry in registry] == ["told without an import"]
    assert "fbench_lazy_example" not in sys.modules
    assert str(registry.call_of(registry.create("slow"))) == "slow"
    assert "fbench_lazy_example" in sys.modules


def test_modules_of_a_package_are_imported_at_the_first_look_up(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("fbench_rooms/__init__.py", "")
    write("fbench_rooms/_helpers.py", "raise RuntimeError('helpers are not registered')\n")
    door = "from benchmark_test_door import registry\n\n@registry.register()\nclass Clip:\n    '''C.'''\n"
    folder = write("fbench_rooms/clip.py", door).parent.parent
    write(
        "benchmark_test_door.py",
        "from benchmark.core.registry import Registry\n"
        "registry = Registry('scorer', group='fbench.tests', modules=('fbench_rooms.*',))\n",
    )
    monkeypatch.syspath_prepend(folder)
    registry: Any = plugins.load_object("benchmark_test_door:registry")
    assert "fbench_rooms.clip" not in sys.modules
    assert registry.names() == ["clip"]


def _install(folder: Path, value: str) -> None:
    info = folder / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fbench.tests]\ntheirs = {value}\n")


def test_an_installed_package_brings_its_own(
    write: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("elsewhere_package.py", "class Theirs:\n    pass\n").parent
    _install(folder, "elsewhere_package:Theirs")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    registry: Registry[object] = Registry("divergence", group="fbench.tests")
    assert registry.names() == ["theirs"]
    assert "elsewhere" in next(iter(registry)).describe()
    assert "elsewhere_package" not in sys.modules
    assert type(registry.create("theirs")).__name__ == "Theirs"


def test_a_broken_package_is_one_line_and_only_when_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, "no_such_module_here:Theirs")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    registry: Registry[object] = Registry("divergence", group="fbench.tests")
    registry.register("ours")(Pickled)
    assert registry.names() == ["ours", "theirs"]
    with pytest.raises(UserError, match="cannot load no_such_module_here:Theirs"):
        registry.create("theirs")


def test_an_unknown_name_lists_what_there_is(things: Registry[object]) -> None:
    with pytest.raises(
        UnknownNameError, match="unknown divergence 'alpa'; allowed: alpha, mixture, reverse_kl"
    ):
        things.get("alpa")
