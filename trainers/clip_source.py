"""Which CLIP weighs the comparisons of a base model. No torch here: it is asked before anything is loaded."""

from dataclasses import dataclass
from pathlib import Path

from benchmark.core.errors import UnreadableFileError, UserError
from benchmark.core.hashing import sha256_json
from benchmark.core.known_hashes import known_sha256
from benchmark.models import model_facts


@dataclass(frozen=True)
class ClipSource:
    """Which CLIP goes with a base model.

    Attributes:
        folder: open_clip's own layout.
        bpe: Its merges; None for the published ones.
    """

    folder: Path
    bpe: Path | None = None

    def sha256(self) -> str:
        """Hash of the model and its merges; what else lies in the folder moves no embedding.

        Raises:
            UserError: if a file cannot be read.
        """
        named = ("open_clip_config.json", "open_clip_model.safetensors")
        parts = [*(self.folder / name for name in named), *([self.bpe] if self.bpe else [])]
        try:
            return sha256_json([known_sha256(part) for part in parts])
        except OSError as error:
            raise UnreadableFileError(self.folder, "an open_clip model", error) from error


def has_own_clip(base: str) -> bool:
    """Whether a base model comes with a CLIP."""
    return model_facts(base).clip is not None


def clip_source(base: str, given: Path | None = None) -> ClipSource:
    """The CLIP of a base model: the one given, or its own where it has one.

    Raises:
        UserError: if there is none; says how to name one.
    """
    if given is not None:
        if not (given / "open_clip_config.json").is_file():
            raise UserError(
                f"no open_clip model at {given}",
                allowed="a folder with open_clip_config.json and its weights",
            )
        bpe = given / "bpe.txt.gz"
        return ClipSource(given, bpe if bpe.is_file() else None)
    if (own := model_facts(base).clip) is not None:
        found = own()
        return ClipSource(found.folder, found.bpe)
    raise UserError(
        f"no CLIP is known for the base model {base}",
        do="name a folder in open_clip's layout by --clip; this objective weighs pairs by its embeddings",
    )
