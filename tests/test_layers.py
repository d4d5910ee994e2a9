"""What the import contracts in pyproject.toml cannot say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from benchmark.models import Family, model_facts, models
from benchmark.models.facts import families

ROOT = Path(__file__).resolve().parent.parent
ROOM = ROOT / "benchmark" / "models" / "families"
OWN_WORDS = {"unet": r"(?i:unet)|is_xl|time_ids|DDIM"}
"""Of one family, beside its name and classes. A sampler's name, `ddim`, is a user's word."""
EVERYBODYS = re.compile("lora_unet|CLIPTextModel(WithProjection)?")
"""What kohya's scripts call any network that is trained, and text encoders of several families."""
MESSAGES = (", and trajectories are of stochastic DDIM, eta 1", "a Flux transformer")
"""For users, who know that sampler, and the model that a file holds, by their names."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("benchmark", cache_dir=None)


def test_scorers_do_not_import_each_other(graph: grimp.ImportGraph) -> None:
    # Modules with a leading underscore are the helpers they share; `base` is what a scorer is.
    room = graph.find_children("benchmark.scorers")
    scorers = {m for m in room if not m.rpartition(".")[2].startswith("_")} - {"benchmark.scorers.base"}
    assert scorers, "there are no scorers"
    crossed = {
        f"{module} -> {scorer}"
        for scorer in scorers
        for module in graph.find_modules_that_directly_import(scorer)
        if module in graph.find_descendants("benchmark.scorers") and not module.startswith(f"{scorer}.")
    }
    assert crossed == set()


def _words(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Identifiers and strings of a module, but for docstrings and other strings that stand alone."""
    alone = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and id(node) not in alone:
                yield node.lineno, node.value
            continue
        for _, value in ast.iter_fields(node):
            for word in value if isinstance(value, list) else [value]:
                if isinstance(word, str):
                    yield getattr(node, "lineno", 0), word


def _words_of(family: Family) -> re.Pattern[str]:
    """The names that only this family's files may say: its own, and those of its pipelines and networks."""
    classes = [*family.pipelines, *family.folders.adapted.values()]
    own = [re.escape(name) for name in classes if not EVERYBODYS.fullmatch(name)]
    if family.flow:
        known = [facts for name in models.names() if (facts := model_facts(name)).family is family]
        own += [rf"\b{facts.name}\b" for facts in known if facts.hub_id]
    name = family.name.replace("_", "[_-]")
    return re.compile("|".join([OWN_WORDS.get(family.name, rf"(?i:\b{name}\b)"), *own]))


def _mentioned(file: Path, family: Family) -> Iterator[tuple[int, str]]:
    """Where a file might name a family, by lines.

    UNet is also what people call a kind of network, so of that family code alone counts, and no comments.
    """
    text = file.read_text(encoding="utf-8")
    for line, word in enumerate(text.splitlines(), 1) if family.flow else _words(ast.parse(text)):
        for free in MESSAGES:
            word = word.replace(free, "")  # noqa: PLW2901
        yield line, EVERYBODYS.sub("", word)


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_a_family_is_named_in_its_own_package_alone(family: Family) -> None:
    words = _words_of(family)
    files = [path for room in ("benchmark", "trainers") for path in sorted((ROOT / room).rglob("*.py"))]
    free = [ROOM / family.name, ROOM / f"{family.name}.py", ROOT / "trainers" / "presets"]
    checked = [file for file in files if not any(file.is_relative_to(place) for place in free)]
    assert len(checked) > 100
    found = {
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in checked
        for line, word in _mentioned(file, family)
        if words.search(word)
    }
    assert found == set()
