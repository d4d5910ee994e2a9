"""The committed evaluation: a preset trained with several seeds, and whether the truth says it is better."""
