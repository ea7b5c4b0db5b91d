"""What commands fetch from the network, and only when they are called to: lists of remotes.

The daemon never fetches anything: it reads the files that are there. `tinysnitch lists update` runs as a command, whose
connections are judged as any other program's.

`fetch` gets one text over HTTPS, with limits of size and time. `find_sourced` names the lists that say where they come
from, and `update_list` fetches one anew; on any failure the old list stays as it is.

Begin with list_update.py.
"""
