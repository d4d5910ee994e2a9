"""A study of the tests: source-level mutants of the mathematics, and whether the tests catch them.

``python -m tools.mutants`` changes one place of a temporary copy of the checkout at a time and
runs the tests that matter against it. A mutant that survives is either equivalent, and says why, or a test is
missing. Every module of `lists` has a ``TESTS``, the paths that are run, and its ``MUTANTS``.

mutmut makes mutants by operators of its own, inside functions alone; these are lists of what can go wrong in
silence, constants and stated facts among them: docs/decisions/libraries.md.
"""
