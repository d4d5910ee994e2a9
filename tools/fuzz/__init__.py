"""Damaged and strange files by the thousand: none may end in a traceback, a hang or a silent other number.

A target makes sound files, damages one of them by a seeded mutation, has fbench read it as a user would, and
judges what came out against a reading of its own.
"""
