"""`python -m benchmark.workflows.reference "kid(reference='FOLDER')" OUT.npz`: a reference's features, once.

A network takes an hour for a folder of 10,000 images without a GPU; the .npz is read at once, by every scorer
of the same network: `fid`, `kid` and those of `prdc` share one, `cmmd` has its own.
"""

import argparse
from pathlib import Path

from benchmark.core.devices import choose_device
from benchmark.core.errors import UserError
from benchmark.core.store import atomic_file
from benchmark.scorers import make_scorers
from tools.console import finish


def write_reference(
    call: str, out: Path, weights: str = "published", device: str = "auto"
) -> tuple[int, int]:
    """Writes the features of a scorer's reference set.

    Args:
        call: The scorer with its reference, as ``--scorers`` takes it.
        out: An .npz.
        weights: ``published`` or ``embedded``, unless the call says more.
        device: ``auto``, ``cpu``, ``cuda``.

    Returns:
        Images and features of each.

    Raises:
        UserError: if the scorer compares with no features of a reference, or cannot read them.
    """
    import numpy as np

    (scorer, *_) = make_scorers([call], weights)
    if not hasattr(scorer, "reference_features"):
        raise UserError(
            f"scorer {scorer.name} compares with no reference set", allowed="fid, kid, cmmd, prdc"
        )
    # The version names what is compared with, and is refused where nothing is.
    print(f"{scorer.name} {scorer.scorer_version}", flush=True)
    scorer.load(choose_device(device))
    features: np.ndarray = scorer.reference_features()
    with atomic_file(out) as temporary, temporary.open("wb") as file:
        np.savez(file, features=features)
    rows, columns = features.shape
    return rows, columns


def main() -> None:
    """Parses the command line and writes the file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.workflows.reference", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("scorer", help="with its reference, such as \"kid(reference='coco')\"")
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--weights", choices=("published", "embedded"), default="published")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    rows, columns = write_reference(args.scorer, args.out, args.weights, args.device)
    print(f"wrote {args.out}: {rows} images, {columns} features each")


if __name__ == "__main__":
    finish(main)
