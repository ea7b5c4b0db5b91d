"""What every command prints, on standard output: lines, JSON objects, and tables.

lines.py escapes every text, so that no name that a program or server chose reaches a terminal raw, and turns a failed
write into an error that a person can act on.

tables.py prints what `view` laid out as spans. On a terminal it fits the width and is painted with the colours of the
prompt (NO_COLOR and a dumb terminal hold); behind a pipe the same stands as plain lines.

Errors and notes, which go to standard error, are those of commandline.

Begin with lines.py.
"""
