"""The builder of the embedded world: one module for each stage."""
