"""The sums of traffic in a SQLite file beside the history: a row for each sum in each hour, later in each day.

`TrafficStore` (traffic_store.py) writes. It is called in a thread, never in the daemon's loop, and keeps the file
within its size and age: hours become days, and the oldest days go. schema.py has the tables, and batch.py adds to them.
Beside the rows there are two smaller tables, kept with each write: the sums of a day by program and domain, so that a
month is answered at once, and when each program spoke with each domain, for what is new.

`TrafficReader` (traffic_reader.py) answers questions (core/traffic), by a connection of its own that only reads: a
question never stops a writer, and no writer a question.

Begin with schema.py.
"""
