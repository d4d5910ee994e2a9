"""Measurements behind the claims of the documentation and the committed results."""
