"""Stage `prompts`: the prompt sets of the embedded world, every one of facts that no other split has."""

import json

from benchmark.core.hashing import sha256_bytes
from benchmark.core.resources import prompts_folder
from benchmark.shapes.facts import Facts, draw_facts
from benchmark.shapes.grammar import caption
from tools.build_shapes.fitting import Build, generator

PAPER_STYLES = ("van_gogh", "sketch", "winter")
SETS = {
    "shapes-core": ("test", 192, "192 test prompts of the embedded world"),
    "shapes-validation": ("validation", 96, "96 prompts on which settings are chosen"),
    "shapes-style": ("test", 60, "60 test prompts that leave the style open, each with a style to align to"),
}


def tags(facts: Facts) -> list[str]:
    """What a prompt is about: the kinds of facts it states, and how many it leaves open."""
    stated = {kind for kind, _, value in facts.slots() if value is not None}
    return [f"count_{len(facts.objects)}", *sorted(stated), f"open_{facts.open}"]


def draw_set(name: str, build: Build) -> list[dict[str, object]]:
    """The rows of a set: distinct facts, three or more stated, three quarters with two or more left open."""
    split, n, _ = SETS[name]
    g = generator(build.seed, "prompts", name)
    rows: list[dict[str, object]] = []
    seen: set[str] = set()
    while len(rows) < n:
        facts = draw_facts(g, split)
        few_open = facts.open < 2
        if facts.key in seen or facts.stated < 3 or (few_open and sum(r["few"] for r in rows) >= n // 4):  # type: ignore[misc]
            continue
        if name == "shapes-style" and facts.style is not None:
            continue
        seen.add(facts.key)
        style = (
            PAPER_STYLES[len(rows) % 3]
            if name == "shapes-style"
            else facts.style
            if facts.style in PAPER_STYLES
            else None
        )
        rows.append(
            {
                "id": f"{name}-{len(rows):03d}",
                "text": caption(facts, g),
                "tags": tags(facts),
                "style": style,
                "few": few_open,
            }
        )
    return [{k: v for k, v in row.items() if k != "few"} for row in rows]


def run(build: Build) -> None:
    """Writes prompts/<set>.jsonl and its card."""
    folder = prompts_folder() if build.scale == 1 else build.state / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, _, description) in SETS.items():
        data = "".join(json.dumps(row) + "\n" for row in draw_set(name, build)).encode()
        (folder / f"{name}.jsonl").write_bytes(data)
        card = {
            "version": 1,
            "description": description,
            "source": "written for fbench: drawn from the grammar of the embedded world (benchmark/shapes)",
            "licence": "Apache-2.0",
            "sha256": sha256_bytes(data),
        }
        (folder / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n")
        print(f"{name}: {len(data.splitlines())} prompts", flush=True)
