"""The page that shows who talks now: programs, their remotes, and the connections with each, with rates and totals.

`Traffic` (traffic.py) adds up what the daemon tells each second. `LivePage` folds, filters, sorts and selects, and says
what keys do with a row: explain it, make a rule of it, end it. `present_live` makes of the rows that are in sight the
values that a front end draws.

Times are wall-clock seconds, as in what the daemon tells. Everything is since the page was opened; before that there is
the history.

Begin with traffic.py, then live_page.py.
"""
