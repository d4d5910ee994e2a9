"""Simulated evaluations whose truth is known: do the intervals, tests, sets and the gate keep their word?"""
