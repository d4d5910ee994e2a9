"""Frechet and kernel distance between two files of features, by torch-fidelity and by clean-fid."""

import numpy as np
import torch
from cleanfid.fid import frechet_distance, kernel_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

PACKAGES = ["torch-fidelity", "clean-fid"]


def load():
    """Nothing to load; a call names the function and the file."""
    return lambda function, file: FUNCTIONS[function](*read(file))


def read(file):
    """Our images' features and the reference's, in float64."""
    arrays = np.load(file)
    return arrays["ours"].astype(np.float64), arrays["reference"].astype(np.float64)


def fidelity_fid(x, y):
    """torch-fidelity's."""
    statistics = [fid_features_to_statistics(torch.from_numpy(z)) for z in (x, y)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]


def clean_fid(x, y):
    """clean-fid's."""
    moments = [m for z in (x, y) for m in (z.mean(0), np.cov(z, rowvar=False))]
    return float(frechet_distance(*moments))


def fidelity_kid(x, y):
    """torch-fidelity's, on one subset of everything: no draw is left."""
    whole = {"kid_subsets": 1, "kid_subset_size": min(len(x), len(y)), "verbose": False}
    found = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **whole)
    return float(found["kernel_inception_distance_mean"])


def clean_kid(x, y):
    """clean-fid's, likewise."""
    return kernel_distance(x, y, num_subsets=1, max_subset_size=min(len(x), len(y)))


FUNCTIONS = {f.__name__: f for f in (fidelity_fid, clean_fid, fidelity_kid, clean_kid)}
