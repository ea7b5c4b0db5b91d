"""The tables of the sums. Texts are kept once, each with the last day on which a row named it: so they can go too."""

import sqlite3
import time

from tinysnitch.core.model.domain import find_registrable_domain

HOUR_S = 3600
PROGRAM, NAME, ADDRESS, RULE = range(4)  # kinds of texts; an address is its 16 bytes, so that a network is a range
NOBODY = -1  # in place of a uid: there is no process
HOURS_KEPT_S = 49 * HOUR_S  # two days by the hour, and the hour that is not over

# The rows lie in the order of their key (without rowid), the time first: what is new is added at the end, what is old
# goes from the beginning, and a question reads one stretch.
_ROWS = """
create table if not exists {table} (
  period integer, program integer, remote integer, port integer, uid integer, protocol integer, inbound integer,
  denied integer, rule integer, day integer, domain integer,
  first integer, last integer, connections integer, received integer, sent integer,
  primary key (period, program, remote, port, uid, protocol, inbound, denied, rule)
) without rowid;
"""
SET_UP = f"""
pragma cache_size = -2048;
create table if not exists texts (
  id integer primary key, kind integer, text, day integer, unique (kind, text)
);
{_ROWS.format(table="hours")}
{_ROWS.format(table="days")}
create table if not exists day_sums (
  day integer, domain integer, program integer, uid integer, inbound integer, denied integer,
  first integer, last integer, connections integer, received integer, sent integer,
  primary key (day, domain, program, uid, inbound, denied)
) without rowid;
create table if not exists questions (
  id integer primary key, at_ms integer, program integer, uid integer, remote integer, domain integer, denied integer
);
create table if not exists asked (
  day integer, program integer, uid integer, remote integer, domain integer,
  first integer, last integer, questions integer, denied integer,
  primary key (day, program, uid, remote)
) without rowid;
create table if not exists pairs (
  domain integer, program integer, uid integer, first integer, last integer, allowed integer, denied integer,
  primary key (domain, program, uid)
) without rowid;
"""
ADD_UP = """
on conflict do update set first = min(first, excluded.first), last = max(last, excluded.last),
  connections = connections + excluded.connections, received = received + excluded.received, sent = sent + excluded.sent
"""
HOUR_TO_DAYS = f"""
insert into days select day, program, remote, port, uid, protocol, inbound, denied, rule, day, domain,
  first, last, connections, received, sent from hours where period = ? {ADD_UP}
"""


def set_up(db: sqlite3.Connection) -> None:
    db.executescript(SET_UP)


def day_of(wall_s: float) -> int:
    """When the day began here, in wall-clock seconds."""
    moment = time.localtime(wall_s)
    return int(time.mktime((moment.tm_year, moment.tm_mon, moment.tm_mday, 0, 0, 0, 0, 0, -1)))


def domain_of(name: str) -> str:
    """The domain that a name counts for."""
    return find_registrable_domain(name) or name
