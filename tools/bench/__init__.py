"""Speed and memory against what a user would reach for otherwise: `make bench`.

Both sides take turns, so that what else the machine does is in both. pytest-benchmark runs one after the
other, asv compares commits of one project, and neither sees fresh processes' memory:
docs/decisions/libraries.md.
"""
