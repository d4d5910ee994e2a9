"""Families of base models, one file or folder each: what is here is found, and named nowhere else.

`base` is all that a training loop or a sampler may ask of one.
"""
