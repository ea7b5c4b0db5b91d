"""What the daemon tells: the log, the history, standard error, and what was lost.

`Recorder` makes one line of each record of the engine. The line goes to the log and the history; the driver pushes it
to clients that follow. `HistoryQuota` (history_quota.py) keeps floods of records of one kind out of the history.

`LogOutput` writes lines to a descriptor, and never waits for its reader. `ErrorLog` does the same for what the daemon
itself has to say on standard error. Both count what nobody took. `LossWatch` turns counters of losses that rose into
events, so that people are told.

Read `recorder.py` first.
"""
