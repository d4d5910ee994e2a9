"""Names, shapes and types of what an ImageReward checkpoint holds, from its own class."""

from collections.abc import Callable

from ImageReward.ImageReward import ImageReward

PACKAGES = ["image-reward"]


def load(med_config: str) -> Callable[[], dict[str, list[object]]]:
    """The class as `load` makes it."""

    def call() -> dict[str, list[object]]:
        model = ImageReward(device="cpu", med_config=med_config)
        return {
            name: [list(value.shape), str(value.dtype).removeprefix("torch.")]
            for name, value in model.state_dict().items()
        }

    return call
