"""One module a list: its ``TESTS`` and its ``MUTANTS``."""
