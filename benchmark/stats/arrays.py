"""Array types and defaults that every statistic shares."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LEVEL = 0.95
"""Confidence level of every interval."""

RESAMPLES = 10_000
"""Bootstrap resamples, and the least number of sign flips."""
