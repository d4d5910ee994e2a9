"""The embedded world: a small text-to-image world in which the truth is known."""
