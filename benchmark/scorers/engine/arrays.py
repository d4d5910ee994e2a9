"""Arrays with their shape, for the modules that compute."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

RGB: TypeAlias = UInt8[np.ndarray, "height width 3"]
Matrix: TypeAlias = Float[np.ndarray, "n d"]
