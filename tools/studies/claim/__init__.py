"""The claim study: which divergence keeps more diversity at equal taste, over training seeds."""
