"""``fbench pairs``: preference data from a checkpoint's own images, labelled by scorers or by people."""
