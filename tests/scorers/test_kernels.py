"""Kernel distances and neighbours: laws, definitions written out, and the package that others use."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmark.scorers.engine.distances import CHUNK, Kernel, MmdTo, Neighbours, gaussian, polynomial

KERNELS = [polynomial, gaussian]
NUMBERS = ["precision", "recall", "density", "coverage"]


def draw(n: int, d: int = 6, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    out: np.ndarray = np.random.default_rng(seed).normal(size=(n, d)) + shift
    return out


def mmd(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> float:
    to = MmdTo(y, kernel)
    return to.value(to.sums(x), np.arange(len(x)))


def by_definition(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> float:
    """Three sums over pairs, none with itself."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(kernel(torch.from_numpy(a[None]), torch.from_numpy(b[None])))

    xx = [k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    yy = [k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j]
    xy = [k(a, b) for a in x for b in y]
    return float(np.mean(xx) + np.mean(yy) - 2 * np.mean(xy))


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_its_definition(kernel: Kernel) -> None:
    x, y = draw(9), draw(7, seed=1, shift=0.3)
    assert mmd(x, y, kernel) == pytest.approx(by_definition(x, y, kernel), rel=1e-9)


def test_kid_is_torch_fidelitys_on_the_same_features() -> None:
    x, y = draw(120, 48), draw(120, 48, seed=1, shift=0.2)
    found = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=1, kid_subset_size=120, kid_kernel="poly",
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=0,
        verbose=False,
    )  # fmt: skip
    assert mmd(x, y, polynomial) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-6)


def test_kid_is_the_mean_over_torch_fidelitys_subsets() -> None:
    x, y = draw(60, 12), draw(50, 12, seed=1, shift=0.5)
    found = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=2000, kid_subset_size=20, kid_kernel="poly",
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=0,
        verbose=False,
    )  # fmt: skip
    error = found["kernel_inception_distance_std"] / np.sqrt(2000)
    assert abs(mmd(x, y, polynomial) - found["kernel_inception_distance_mean"]) < 4 * error


@pytest.mark.parametrize("kernel", KERNELS)
def test_mmd_is_unbiased_symmetric_and_grows(kernel: Kernel) -> None:
    y = draw(64, seed=999)
    same = [mmd(draw(24, seed=2 * s), draw(24, seed=2 * s + 1), kernel) for s in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(len(same))
    assert min(same) < 0
    x = draw(64, shift=0.5)
    assert mmd(x, y, kernel) == pytest.approx(mmd(y, x, kernel), rel=1e-9)
    assert mmd(draw(64), y, kernel) < mmd(x, y, kernel) < mmd(draw(64, shift=1.0), y, kernel)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kept", [95, 30, 2])
def test_mmd_of_a_part_is_as_from_scratch(kernel: Kernel, kept: int) -> None:
    x, y = draw(100, shift=0.2), draw(40, seed=1)
    index = np.random.default_rng(0).permutation(100)[:kept]
    to = MmdTo(y, kernel)
    assert to.value(to.sums(x), index) == pytest.approx(mmd(x[index], y, kernel), rel=1e-9, abs=1e-12)


def test_mmd_of_more_rows_than_a_chunk() -> None:
    x, y = draw(CHUNK + 30, 2), draw(CHUNK + 7, 2, seed=1, shift=0.3)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    inner = [
        (k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (polynomial(a, a), polynomial(b, b))
    ]
    expected = float(sum(inner) - 2 * polynomial(a, b).mean())
    assert mmd(x, y, polynomial) == pytest.approx(expected, rel=1e-9)


def prdc_by_definition(y: np.ndarray, x: np.ndarray, k: int) -> dict[str, float]:
    """Loops over the papers' sets; y is real, x is made."""

    def radius(points: np.ndarray, i: int) -> float:
        return sorted(float(np.linalg.norm(points[i] - p)) for j, p in enumerate(points) if j != i)[k - 1]

    real = [radius(y, i) for i in range(len(y))]
    made = [radius(x, j) for j in range(len(x))]
    apart = [[float(np.linalg.norm(r - f)) for f in x] for r in y]
    near_real = [[apart[i][j] < real[i] for j in range(len(x))] for i in range(len(y))]
    near_made = [[apart[i][j] < made[j] for j in range(len(x))] for i in range(len(y))]
    return {
        "precision": float(np.mean(np.any(near_real, axis=0))),
        "recall": float(np.mean(np.any(near_made, axis=1))),
        "density": float(np.sum(near_real) / (k * len(x))),
        "coverage": float(np.mean(np.any(near_real, axis=1))),
    }


@pytest.mark.parametrize("shift", [0.0, 1.0, 30.0])
def test_prdc_is_its_definition_for_a_set_and_its_parts(shift: float) -> None:
    y, x = draw(40, 3), draw(30, 3, seed=1, shift=shift)
    to = Neighbours(y, 5)
    found = to.distances(x)
    for index in (np.arange(30), np.random.default_rng(0).permutation(30)[:22]):
        expected = prdc_by_definition(y, x[index], 5)
        got = {name: getattr(to, name)(found, index) for name in NUMBERS}
        assert got == pytest.approx(expected, abs=1e-12)
        assert all(0 <= got[name] <= 1 for name in NUMBERS if name != "density")


def test_one_image_repeated_covers_little_and_the_references_themselves_all() -> None:
    y = draw(50, 4)
    to = Neighbours(y, 5)
    copies = to.distances(np.repeat(y[:1], 20, axis=0))
    everyone = np.arange(20)
    assert to.precision(copies, everyone) == 1
    assert to.recall(copies, everyone) == 0
    assert to.coverage(copies, everyone) < 0.5
    same = to.distances(y)
    assert to.precision(same, np.arange(50)) == to.recall(same, np.arange(50)) == 1
    assert to.coverage(same, np.arange(50)) == 1


def test_a_reference_needs_neighbours() -> None:
    with pytest.raises(ValueError, match="no 5th neighbour"):
        Neighbours(draw(5), 5)
