"""Layer 0, without torch: the records that flow, the one door, manifests, files, errors."""
