"""What the commands that look back show, and the pages of the full-screen program: tables, as spans.

`Table` (table.py) is laid out for a width: one column gives way, and bars take what is left. On it stand the amounts of
a history (history_view.py). All text that programs and servers chose is escaped here, as everywhere in `view`; who lays
it out may print it as it is.

Times are told as short as they are near, and bytes with two or three digits: the exact ones are in what the commands
print with --json.

Begin with history_view.py.
"""
