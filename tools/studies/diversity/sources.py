"""The images of the study: the base model at several guidance scales, narrowed, and trained checkpoints.

Narrowed means: asked for the prompt with open facts filled in, always by the same values, as a policy draws
that has settled on them. The images still show the prompt; what it leaves open no longer varies.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmark.core.hashing import sha256_bytes
from benchmark.core.records import ImageSet, Prompt, PromptSet, Sampler
from benchmark.generate import console_progress, generate
from benchmark.models import load_pipeline, open_checkpoint
from benchmark.prompt_sets import load_prompt_set

if TYPE_CHECKING:
    from benchmark.models.families.base import Pipeline

PROMPTS: Final = "shapes-core"
GUIDANCE: Final = (1.0, 3.0, 5.0, 8.0)
"""Of the base model, besides its default."""
BASE: Final = "base"
ONE, ALL = "one open fact fixed", "all open facts fixed"


def open_prompts(limit: int) -> PromptSet:
    """The first test prompts that leave a nameable fact open."""
    from benchmark.shapes.grammar import parse

    everything = load_prompt_set(PROMPTS)
    chosen = tuple(p for p in everything if parse(p.text).open)[:limit]
    return replace(everything, prompts=chosen, version=f"{everything.version}[open:{len(chosen)}]")


def narrowed(prompt: Prompt, facts_fixed: int | None) -> Prompt:
    """The prompt with open facts filled in.

    Args:
        prompt: Of the embedded world.
        facts_fixed: How many; None: all. Which ones, their values and the words follow from the prompt's id.
    """
    import torch

    from benchmark.shapes.alignment import LEXICONS
    from benchmark.shapes.facts import with_fact
    from benchmark.shapes.grammar import caption, parse

    g = torch.Generator().manual_seed(int(sha256_bytes(prompt.id.encode())[:15], 16))
    facts = parse(prompt.text)
    slots = [(kind, i) for kind, i, value in facts.slots() if value is None]
    for place in torch.randperm(len(slots), generator=g).tolist()[:facts_fixed]:
        kind, i = slots[place]
        values = list(LEXICONS[kind])
        facts = with_fact(facts, kind, i, values[int(torch.randint(len(values), (), generator=g))])
    return replace(prompt, text=caption(facts, g))


def make_sources(
    prompts: PromptSet, images: int, checkpoints: Sequence[str], out: Path, device: str = "cpu"
) -> dict[str, ImageSet]:
    """Generates what is not there yet.

    Args:
        prompts: Of `open_prompts`.
        images: K.
        checkpoints: Trained ones, as ``--checkpoint`` takes them.
        out: Images go below it.
        device: Where.

    Returns:
        By name; all are image sets of `prompts`, the narrowed ones too.
    """
    base = load_pipeline("shapes", device)
    found = {BASE: _made(BASE, BASE, base, prompts, base.sampler, images, out)}
    for scale in GUIDANCE:
        sampler, name = replace(base.sampler, guidance=scale), f"guidance {scale:g}"
        found[name] = _made(name, BASE, base, prompts, sampler, images, out)
    for name, fixed in ((ONE, 1), (ALL, None)):
        asked = replace(prompts, prompts=tuple(narrowed(p, fixed) for p in prompts))
        made = _made(name, BASE, base, asked, base.sampler, images, out)
        found[name] = replace(made, prompt_set=prompts)
    for spec in checkpoints:
        found[Path(spec).name] = _made(Path(spec).name, spec, base, prompts, base.sampler, images, out)
    return found


def _made(
    name: str, spec: str, base: "Pipeline", prompts: PromptSet, sampler: Sampler, images: int, out: Path
) -> ImageSet:
    checkpoint, policy = open_checkpoint(spec, base)
    folder = out / "sources" / name.replace(" ", "-")
    with console_progress(f"generating {name}") as tell:
        return generate(checkpoint, policy, prompts, sampler, images, folder, progress=tell)
