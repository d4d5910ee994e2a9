"""What the import contracts in pyproject.toml cannot say."""

import grimp
import pytest


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
