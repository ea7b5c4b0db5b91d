"""Traffic: who talked with whom, how much, and by which verdict, summed up.

A `TrafficRow` (row.py) is the sum over all connections that are alike in program, user, remote, port, protocol,
direction, verdict and rule, within some span of time. Rows come in batches, and those of one key add up: whoever keeps
them adds, and looks at no row alone. Pure values; what makes them is daemon/traffic, and whoever wants them listens
there: the history, and the live screen.

`Sums` (sums.py) adds rows up between two batches.
"""
