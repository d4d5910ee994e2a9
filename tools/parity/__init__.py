"""Our scorers against the original packages, on the same weights, images and prompts: `make parity`."""
