"""The networks of scorers: the libraries' own classes, made small (``new_*``), saved and loaded.

Nothing is imported here: a tower brings torch and its library, and the listing commands need neither.
"""
