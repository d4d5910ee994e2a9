"""Speed and memory against what a user would reach for otherwise: `make bench`."""
