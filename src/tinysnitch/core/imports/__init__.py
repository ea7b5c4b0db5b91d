"""Rules of other firewalls as lines of ours: OpenSnitch, Little Snitch, ufw.

Each file reads one format into `Draft`s (draft.py): what a rule says, column by column, or why ours cannot say it.
group_lines.py makes the lines of a group of them, and compares which of two rules wins there and here. Nothing is taken
over that would allow more than it did there, except where a comment behind the line says so.

opensnitch.py, lsrules.py and ufw.py name the sources that their formats are read from. patterns.py understands the
regular expressions of OpenSnitch, as far as ours can say them.

Text in, text out: the command reads the files. Begin with draft.py.
"""
