"""The networks of scorers with their preprocessing: the libraries' own classes, opened strictly.

Nothing is imported here: a network brings torch and its library, and the listing commands need neither.
"""
