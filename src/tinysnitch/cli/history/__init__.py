"""The commands that look back: `history`, which sums up who talked with whom.

A command makes a question (core/traffic/queries.py) of its options, and the daemon answers it within the client's
right. On a terminal the answer is a table as wide as the terminal, with bars; behind a pipe the same without bars, cut
nowhere. With --json and --csv all is told: whole numbers of bytes, and times as in the log.

The options that they share, and what these mean, are in options.py.

Begin with history.py.
"""
