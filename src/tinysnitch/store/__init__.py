"""Doors to disk: the rules file, lists and the history."""
