"""JSON and YAML in which every key stands once: of two values of a key, parsers take the last in silence."""

import json
import re
from collections.abc import Hashable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} stands twice")
        self.key = key


def load_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: if it is no JSON, is nested too deeply, or a key stands twice in one object.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except _DuplicateKeyError as error:
        raise ValueError(f"{error}{_place(text, error.key)}") from error


def load_yaml(text: str) -> Any:
    """The value of a YAML text, with the numbers of YAML 1.2: ``1e-5`` is one, ``010`` is ten.

    Raises:
        ValueError: if it is no YAML, or a key stands twice in one mapping; names the line.
    """
    import yaml

    try:
        return yaml.load(text, _loader())  # noqa: S506  # a SafeLoader
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except yaml.YAMLError as error:
        raise ValueError(_said(error)) from error


def _said(error: "yaml.YAMLError") -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _place(text: str | bytes, key: str) -> str:
    """The line of a key's second place, where the text has several lines and the key no third place."""
    words = text if isinstance(text, str) else text.decode(errors="replace")
    if "\n" not in words.strip():
        return ""
    places = [found.start() for found in re.finditer(re.escape(json.dumps(key)) + r"\s*:", words)]
    return f" (line {words.count(chr(10), 0, places[1]) + 1})" if len(places) == 2 else ""


@cache
def _loader() -> "type[yaml.SafeLoader]":
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            # Here `<<` is not merged yet: a mapping may overrule what it takes from another.
            seen: set[str] = set()
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(
                            None, None, f"the key {key.value!r} stands twice", key.start_mark
                        )
                    seen.add(key.value)
            merged: dict[Hashable, Any] = super().construct_mapping(node, deep)
            return merged

    def whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        text = str(loader.construct_scalar(node))
        return int(text, 0 if text.lstrip("+-")[:2].lower() in ("0x", "0o") else 10)

    numbers = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in numbers]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        numbers[0], re.compile(r"[-+]?[0-9]+$|0x[0-9a-fA-F]+$|0o[0-7]+$"), list("-+0123456789")
    )
    Loader.add_implicit_resolver(
        numbers[1],
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
        ),
        list("-+.0123456789"),
    )
    Loader.add_constructor(numbers[0], whole)
    return Loader
