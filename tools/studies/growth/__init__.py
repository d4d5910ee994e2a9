"""How time and memory grow with an evaluation, with the results it writes, and with the runs of a sweep."""
