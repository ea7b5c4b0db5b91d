"""`make questions`: how often a developer is asked in an hour, in the same hour again, and on a day with a browser.

A person answers every question with the same keys, and takes what is proposed. A question is needless if one for the
same program, remote and port was answered before.
"""

import argparse
import sys

from bench.prepared_lab import make_ready
from tests.lab.hour import LINES, Done, Hour, give_names, make_stand_in, pass_hour
from tests.lab.lab import Lab
from tests.lab.scripted_person import FOREVER, Asked, ScriptedPerson, find_needless

SITES = 30
OWN = ("www", "img", "api", "static")  # names of each site
OTHERS = ("cdn", "fonts", "ads", "stats", "tags", "video", "login", "maps")  # domains in which each has a name


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", default=FOREVER, help="that answer a question")
    parser.add_argument("--rules", action="store_true", help="print the rules that the answers made, too")
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    make_ready()
    with Lab() as lab:
        report_hour(lab, options.keys, shows_rules=options.rules)
    with Lab() as lab:
        report_browser(lab, options.keys, shows_rules=options.rules)


def report_hour(lab: Lab, keys: str, *, shows_rules: bool) -> None:
    hour, lines = Hour(lab), LINES.strip().splitlines()
    daemon = lab.start_daemon(None)
    first = hour.play(daemon, keys, lines)
    daemon = pass_hour(lab, daemon)
    again = hour.play(daemon, keys, lines)
    say("| command | questions | keys | needless | an hour later |", "|---|---:|---:|---:|---:|")
    before: list[Asked] = []
    for done, later in zip(first, again, strict=True):
        say(row(done.line, before, done.asked, keys, later) + (f" {done.remark}" if done.remark else ""))
        before += done.asked
    say(row(f"{len(lines)} commands", [], before, keys, *again), "")
    if shows_rules:
        say(daemon.rules.read_text())


def row(what: str, before: list[Asked], asked: list[Asked], keys: str, *later: Done) -> str:
    needless = len(find_needless([*before, *asked])) - len(find_needless(before))
    figures = (len(asked), len(asked) * len(keys), needless, sum(len(done.asked) for done in later))
    return f"| `{what}` | {' | '.join(str(figure or '') for figure in figures)} |"


def report_browser(lab: Lab, keys: str, *, shows_rules: bool) -> None:
    """A browser that loads from twelve names for each site, all at once."""
    sites = [names_of_site(number) for number in range(SITES)]
    give_names(lab, [name for names in sites for name in names])
    browser = str(make_stand_in(lab, "browser", starts_itself=True))
    daemon = lab.start_daemon(None)
    person = ScriptedPerson(daemon.socket, keys)
    try:
        for names in sites:
            done = lab.run([browser, *(f"https://{name}/" for name in names)])
            assert done.returncode == 0, f"{done.stderr}\n{daemon.describe()}"
    finally:
        person.leave()
    count = len(person.asked)
    needless = len(find_needless(person.asked))
    what = f"a browser, {SITES} sites of {len(OWN) + len(OTHERS)} names"
    say(f"{what}: {count} questions, {count * len(keys)} keys, {needless} needless")
    if shows_rules:
        say(daemon.rules.read_text())


def names_of_site(number: int) -> list[str]:
    own = [f"{name}.site{number}.test" for name in OWN]
    return own + [f"s{number}.{domain}.test" for domain in OTHERS]


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
