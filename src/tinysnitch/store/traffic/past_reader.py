"""Finds how often a program connected to a domain before, and which other one did.

It reads the rows of one domain alone, which lie together.
"""

import sqlite3

from tinysnitch.core.model.flow import format_address
from tinysnitch.core.model.past import Past, PastQuestion
from tinysnitch.store.traffic.interned import find_text, read_texts
from tinysnitch.store.traffic.schema import ADDRESS, NAME, NOBODY, PROGRAM, domain_of

_OWN = "select allowed, denied from pairs where domain = ? and program = ? and uid = ?"
_OTHER = """
select program, allowed from pairs where domain = ? and uid = ? and program is not ? and allowed > 0
order by allowed desc limit 1
"""


def find_past(db: sqlite3.Connection, question: PastQuestion) -> Past | None:
    """None: there is no history yet."""
    if db.execute("select 1 from pairs limit 1").fetchone() is None:
        return None
    domain = _domain_of(question)
    kind, uid = ADDRESS if isinstance(domain, bytes) else NAME, NOBODY if question.uid is None else question.uid
    program, remote = find_text(db, PROGRAM, question.program), find_text(db, kind, domain)
    allowed, denied = db.execute(_OWN, (remote, program, uid)).fetchone() or (0, 0)
    other, other_allowed = db.execute(_OTHER, (remote, uid, program)).fetchone() or (None, 0)
    return Past(
        domain=format_address(domain) if isinstance(domain, bytes) else domain,
        allowed=allowed,
        denied=denied,
        other=None if other is None else read_texts(db, (other,)).get(other, ""),
        other_allowed=other_allowed,
    )


def _domain_of(question: PastQuestion) -> str | bytes:
    return question.remote if isinstance(question.remote, bytes) else domain_of(question.remote)
