"""torch-fidelity's Inception v3, the network of published Frechet and kernel distances."""

from io import BytesIO
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmark.networks.folders import load_strictly, read_weights

LAYERS: Final = (64, 192, 768, 2048)
"""Features of an image at the four places where the network may be read."""


class Inception(FeatureExtractorInceptionV3):  # type: ignore[misc]  # torch-fidelity has no types
    """The package's own class: its layers, and its resize of uint8 images to 299, which is TensorFlow 1's.

    Args:
        num_features: One of `LAYERS`; 2048 is what FID means.

    Raises:
        ValueError: for another number.
    """

    def __init__(self, num_features: int = 2048) -> None:
        if num_features not in LAYERS:
            raise ValueError(f"Inception v3 has {', '.join(map(str, LAYERS))} features, not {num_features}")
        # The package downloads, or unpickles whatever it is given; ours are read strictly, later.
        nothing = BytesIO()
        torch.save({}, nothing)
        nothing.seek(0)
        self._made = False
        super().__init__("inception-v3-compat", [str(num_features)], feature_extractor_weights_path=nothing)
        self._made = True
        self.num_features = num_features

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """As every module's; the empty one of the constructor is passed over."""
        return super().load_state_dict(state_dict, *args, **kwargs) if self._made else None

    def forward(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """Features of images of one size."""
        (out,) = super().forward(images)
        return out  # type: ignore[no-any-return]


def load_inception(file: Path, num_features: int = 2048) -> Inception:
    """The network with published weights, ``weights-inception-2015-12-05-6726825d.pth``, strictly.

    Raises:
        MissingWeightsError: if there is no such file.
        UnreadableFileError: if it holds other weights.
    """
    network = Inception(num_features)
    state = read_weights(file)
    for key, value in network.state_dict().items():
        # Counts of training steps: the release is older than they are, and nothing reads them.
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, value)
    load_strictly(network, state, file)
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]
