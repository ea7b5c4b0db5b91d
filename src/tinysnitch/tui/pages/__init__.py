"""The program behind `tinysnitch` without a command: the prompt, and beside it pages to look and to change rules.

`PagesApp` is the prompt's own app with a line of tabs above it. While another page is in sight, keys go to that page
alone, and a question that waits is a line on top. What the pages ask of the daemon goes over connections of their own
(client/request_queue.py), in a thread: neither a slow reply nor a page that fails keeps a question waiting.

Each page is drawn by a file of its own, as rows of text (table.py has the columns), from the view that view makes.

Begin with pages_app.py, then rules_screen.py.
"""
