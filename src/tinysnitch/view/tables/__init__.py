"""What the commands show on a terminal: tables and entries, as spans.

Behind a pipe these commands print the lines that docs/commands.md promises, and --json tells all of it. On a terminal
the same is laid out for people: aligned, with times as short as they are near, and what needs somebody in colour, which
says nothing that the words do not say, too.

Every text of a program, a server or a file is escaped here; who prints the spans may print them as they are.

A rule in columns (rule_columns.py) is what the page of the rules shows, too.

Begin with status_view.py, and entries.py: a label, and what is said of it.
"""
