"""The commands that go through a list with a person, one key for each entry: `rules tidy` and `learned`.

The daemon proposes (core/tidy), since it alone knows all rules, lists and links, and is asked again before anything is
taken. A command shows what is proposed (shown.py), waits for a key (key_press.py) and sends what was taken. The one in
rules_tidy.py also tells the daemon what the rules name and is not on this machine any more: to look for files may
take long, and verdicts must not wait for it.

Without a terminal both only print; with --yes they take what is proposed unasked. Begin with rules_tidy.py.
"""
