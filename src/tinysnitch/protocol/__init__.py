"""What a client and the daemon say to each other, and the lines of the log: pure values and their framing.

A message is one line of JSON, in ASCII. messages.py has all that a client may ask (`Request`) and all that the daemon
says (`Reply`, `Push`), and in which order. framing.py cuts a stream of bytes into frames, and encodes and decodes
them; nothing but `Malformed` comes of bytes that a stranger sent. log_lines.py has the fields of each line of the
log, which are a contract (docs/commands.md), and log_text.py writes them for people.

Begin with messages.py.
"""
