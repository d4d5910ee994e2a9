"""Distances between two folders of images: torch-fidelity's extractor, and four packages' numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from cleanfid.fid import frechet_distance, kernel_distance
from PIL import Image
from prdc import compute_prdc
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

PACKAGES = ["torch-fidelity", "clean-fid", "prdc"]


def load(weights: str, layer: int) -> Callable[[str, str], dict[str, float]]:
    """A call names both folders, and gets every number by `package scorer`."""
    network = FeatureExtractorInceptionV3("inception-v3-compat", [str(layer)], weights).eval()

    @torch.no_grad()
    def features(folder: str) -> torch.Tensor:
        files = sorted(p for p in Path(folder).iterdir() if p.suffix == ".png")
        rows = []
        for file in files:
            pixels = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None]
            rows.append(network(pixels)[0].flatten())
        return torch.stack(rows).double()

    def call(images: str, reference: str) -> dict[str, float]:
        x, y = features(images), features(reference)
        # One subset of everything: no draw is left in it.
        whole = {"kid_subsets": 1, "kid_subset_size": len(x), "verbose": False}
        moments = [fid_features_to_statistics(z) for z in (x, y)]
        found = {
            "torch-fidelity fid": fid_statistics_to_metric(*moments, verbose=False)[
                "frechet_inception_distance"
            ],
            "clean-fid fid": frechet_distance(*(m[part] for m in moments for part in ("mu", "sigma"))),
            "torch-fidelity kid": kid_features_to_metric(x, y, **whole)["kernel_inception_distance_mean"],
            "clean-fid kid": kernel_distance(x.numpy(), y.numpy(), num_subsets=1, max_subset_size=len(x)),
        }
        prdc = compute_prdc(real_features=y.numpy(), fake_features=x.numpy(), nearest_k=5)
        found |= {f"prdc {name}": value for name, value in prdc.items()}
        return {name: float(value) for name, value in found.items()}

    return call
