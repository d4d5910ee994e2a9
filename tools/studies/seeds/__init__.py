"""The committed evaluation: presets trained with several seeds at several betas, and what the truth says."""
