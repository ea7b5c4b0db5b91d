"""Finds the names that programs asked for: what each program did, or the questions of one in their order."""

import sqlite3
from typing import NamedTuple

from tinysnitch.core.traffic.asked_names import AskedName, AskingProgram, NamesQuestion, NamesTotal, join_loads
from tinysnitch.store.traffic.interned import Filter, filter_of_program, read_texts
from tinysnitch.store.traffic.schema import day_of

MAX_ASKED = 50_000  # questions that are looked through, the newest ones

# Which names were connected to, and which connections to them were denied: by any program whose rows may be seen, as
# a resolver on this machine asks for others.
_TALKED = """
talked as (select remote, max(not denied) as used, max(denied) as denied from (
  select remote, denied, uid from hours where day >= ? and connections > 0
  union all select remote, denied, uid from days where period >= ? and connections > 0
) where {whose} group by remote)
"""
_PROGRAMS = f"""
with {_TALKED},
names as (select program, asked.remote, domain, questions, first, last, coalesce(used, 0) as used,
    max(asked.denied > 0, coalesce(talked.denied, 0)) as denied
  from asked left join talked on talked.remote = asked.remote where day >= ? and {{whose}})
select program, sum(questions), count(distinct remote), count(distinct domain),
  count(distinct case when used then remote end), count(distinct case when denied then remote end),
  min(first), max(last)
from names group by program order by 2 desc limit ?
"""
_SUMS = """
select count(distinct program), sum(questions), count(distinct remote), count(distinct domain)
from asked where day >= ? and {whose}
"""
_IN_ORDER = f"""
with {_TALKED},
newest as (select * from questions where at_ms >= ? and {{whose}} and {{program}} order by id desc limit {MAX_ASKED})
select at_ms, program, newest.remote, domain, coalesce(used, 0), max(newest.denied, coalesce(talked.denied, 0))
from newest left join talked on talked.remote = newest.remote order by id
"""


class NamesAnswer(NamedTuple):
    programs: tuple[AskingProgram, ...]
    asked: tuple[AskedName, ...]
    total: NamesTotal


def find_names(db: sqlite3.Connection, question: NamesQuestion) -> NamesAnswer:
    whose = Filter("1") if question.uid is None else Filter("uid = ?", (question.uid,))
    return _find_programs(db, question, whose) if question.program is None else _find_asked(db, question, whose)


def _find_programs(db: sqlite3.Connection, question: NamesQuestion, whose: Filter) -> NamesAnswer:
    day = day_of(question.since_s)
    values = (day, day, *whose.values, day, *whose.values, question.limit)
    rows = db.execute(_PROGRAMS.format(whose=whose.where), values).fetchall()
    texts = read_texts(db, (row[0] for row in rows))
    programs = tuple(
        AskingProgram(
            program=texts.get(program, ""),
            questions=questions,
            names=names,
            domains=domains,
            used=used,
            denied=denied,
            first_s=first_s,
            last_s=last_s,
        )
        for program, questions, names, domains, used, denied, first_s, last_s in rows
    )
    sums = db.execute(_SUMS.format(whose=whose.where), (day, *whose.values)).fetchone()
    return NamesAnswer(programs, (), NamesTotal(*(count or 0 for count in sums)))


def _find_asked(db: sqlite3.Connection, question: NamesQuestion, whose: Filter) -> NamesAnswer:
    day, program = day_of(question.since_s), filter_of_program(question.program or "")
    query = _IN_ORDER.format(whose=whose.where, program=program.where)
    since_ms = int(question.since_s * 1000)
    values = (day, day, *whose.values, since_ms, *whose.values, *program.values)
    rows = db.execute(query, values).fetchall()
    texts = read_texts(db, (number for row in rows for number in row[1:4]))
    asked = [
        AskedName(
            load=0,
            at_s=at_ms / 1000,
            program=texts.get(program_number, ""),
            name=texts.get(name, ""),
            domain=texts.get(domain, ""),
            questions=1,
            is_used=bool(used),
            is_denied=bool(denied),
        )
        for at_ms, program_number, name, domain, used, denied in rows
    ]
    joined = tuple(join_loads(asked))
    names, domains = {each.name for each in joined}, {each.domain for each in joined}
    total = NamesTotal(len({each.program for each in joined}), len(rows), len(names), len(domains))
    return NamesAnswer((), joined[-question.limit :] if question.limit else (), total)
