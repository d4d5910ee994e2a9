"""Statistics of an evaluation: pure numpy, seeded, vectorised.

The unit of independence is the prompt: every function takes one number a prompt (the mean over the
prompt's images) or reduces to it first. A gap is ``NaN`` in an array and is never filled.
"""
