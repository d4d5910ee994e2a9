"""Writes ``docs/weights.md``: ``python -m tools.docs.weights_page docs/weights.md``."""

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark.core.console import readable_size
from benchmark.scorers.requirements import users_of
from benchmark.weights.catalogue import RELEASES, Release

_HEAD = """# Weights

Written by `python -m tools.docs.weights_page docs/weights.md` from the catalogue in
`benchmark/weights/catalogue.py` and from what the scorers say they need; a test keeps it so.

With `--base shapes` or `--base shapes-flow` every scorer uses the embedded world's weights, which come with
fbench. For any other base model, and in `fbench score`, scorers use the published ones, which you fetch once:

```sh
fbench weights list
fbench weights fetch hps-v2.1 pickscore pickscore-processor
fbench doctor
```

`fbench doctor` says for each scorer whether it can run, and the command that gets what is missing. A scorer
takes other weights in its brackets: `--scorers "clip(weights='my_folder'),hps(weights='embedded')"`.

Embedded weights are toy models of the embedded world. Where they stand for published ones the column is
called `clip (embedded)`, and a warning says when they are shown pictures of another size than 64 x 64, or
texts that the world's grammar cannot read: their numbers say nothing about those.

## Which there are

Sizes are as the sources round them. *Unknown* means that the source states none that we could verify: read
its page before you use the weights for more than looking.

"""

_COLUMNS = """| name | scorers | files, below the folder of weights | from | licence | size |
|:--|:--|:--|:--|:--|--:|"""

_TAIL = """
The lpips networks are trunks only: their linear heads come inside the `lpips` package (BSD).
`clip(model='ViT-L-14')` is OpenAI's model in open_clip's layout, with the quicker GELU that it was trained
with. `hps` and `hps(version='v2.0')` are two scorers, whose numbers are never in one table.

## Where they are looked for

1. In the folder of weights: `--weights-folder`, else `$FBENCH_WEIGHTS`, else `~/.cache/fbench/weights`, below
   it in the folder that the table names.
2. In the cache of huggingface_hub (`$HF_HOME`), without asking the network: what another program has
   downloaded is not downloaded again.
3. What comes from a URL, in torch hub's `checkpoints` folder.

`fbench weights fetch` downloads into the first of these. It goes on in the middle of a file that an earlier
call left unfinished, and a file appears under its name only when it is whole.

## Without a network, and on clusters

Fetch on a machine that has a network, into a folder that the others see or that you copy:

```sh
fbench weights fetch --all --weights-folder /shared/weights
export FBENCH_WEIGHTS=/shared/weights
fbench eval --base sd15 --scorers hps,pickscore --offline
```

With `--offline` nothing is downloaded; what is missing is one line with the file, the place where it is
expected and the command that fetches it. The folder may be read-only for those who score.

## What is checked

* **Hashes.** `fbench weights verify` compares every file with the sha256 that its name or the hub states.
  Where nobody states one it records the hash in `hashes.json` beside the weights when the file is first
  seen, and compares with that from then on. A score's version carries the weights' hash: numbers of
  different weights are never in one table.
* **Keys.** `fbench weights verify --load` opens the weights as the scorers do: a missing, unexpected or
  misshapen key, or one with NaN, is an error that names it.
* **Pickles** (`.pt`, `.pth`) are only ever opened as tensors; code in them is refused and never run.
* **Configurations** that are published beside the weights (`open_clip_config.json`, `med_config.json`) must
  describe the network that the scorer builds.

## Golden images

Sixteen small images of eight prompts come with fbench, and with them the scores that every scorer with
embedded weights gives them. Each process has every scorer that it loads score them first, and only then what
you want scored; `fbench doctor --conformance` does it for all scorers and all weights that are here.

* **Embedded weights: a difference is an error**, in one line with the scorer, what it gave, what it should
  give and the tolerance. The numbers of such a run would stand beside others of the same version, and are not
  comparable with them: package versions, preprocessing or arithmetic have changed. The tolerance is 0.5 % of
  the scores' standard deviation (5 % of the score itself where there is one for the whole set), and what the
  scorer states for bf16 besides; one score in ten may be further off, because a hard decision at its edge may
  fall the other way on another processor.
* **Any other weights: a difference is a warning.** Nobody has committed what they should give. The first run
  records the scores in `conformance.json` beside the weights, by scorer, version and weights' hash; later
  runs are compared with that.

Whoever changes a scorer on purpose raises its version and runs `python -m tools.conformance`,
which writes the scores again; a test fails until then.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join([_HEAD + _COLUMNS, *_rows(), _TAIL])


def _rows() -> Iterator[str]:
    for release in RELEASES:
        users = ", ".join(f"`{call}`" for call in users_of(release.name)) or "-"
        files = ", ".join(f"`{file.name}`" for file in release.files)
        yield (
            f"| `{release.name}` | {users} | `{release.folder}/`: {files} | {_link(release)} "
            f"| {release.licence} | {readable_size(release.size)} |"
        )


def _link(release: Release) -> str:
    shown = release.repos[0] if release.repos else release.url.split("/")[2]
    return f"[{shown}]({release.source})"


if __name__ == "__main__":
    from benchmark.core.store import write_text

    write_text(Path(sys.argv[1]), markdown())
