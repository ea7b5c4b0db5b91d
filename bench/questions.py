"""`make questions`: how often a developer is asked in an hour, in the same hour again, and on a day with a browser.

A person answers every question with the same keys, and takes what is proposed. A question is needless if one for the
same program, remote and port was answered before.
"""

import argparse
import sys

from bench.prepared_lab import make_ready
from tests.lab.hour import LINES, Done, Hour, browse, names_of_site, pass_hour
from tests.lab.lab import Lab
from tests.lab.scripted_person import FOREVER, Asked, find_needless

SITES = 30


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
    daemon, asked = browse(lab, keys, SITES)
    what = f"a browser, {SITES} sites of {len(names_of_site(0))} names"
    say(f"{what}: {len(asked)} questions, {len(asked) * len(keys)} keys, {len(find_needless(asked))} needless")
    if shows_rules:
        say(daemon.rules.read_text())


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
