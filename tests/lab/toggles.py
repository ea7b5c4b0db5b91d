"""How each key of a prompt changes the rule that is written: one table, tried in every front end."""

import re
from collections.abc import Callable
from datetime import datetime

from tests.lab.daemon import Daemon, Record
from tests.lab.lab import DNS_RULE, Lab
from tests.lab.patience import WAIT_S
from tinysnitch.core.rules.rule_line import parse_rule

ARGS = "-4 -sS http://{name}/"
TOGGLES = [  # keys; how many seconds the rule holds (0: it is not kept, None: for ever, in the file); its line, no time
    ("y", 540, "allow {name} 80 tcp /usr/bin/curl"),
    ("oy", 0, "allow {name} 80 tcp /usr/bin/curl"),
    ("ujy", 0, "allow {name} 80 tcp /usr/bin/curl"),
    ("1ajy", 60, "allow {name} 80 tcp /usr/bin/curl"),
    ("3jn", 180, "deny {name} 80 tcp /usr/bin/curl"),
    ("n", 180, "deny {name} 80 tcp /usr/bin/curl"),  # how long was chosen for the question before
    ("f9ay", 540, "allow {name} 80 tcp /usr/bin/curl " + ARGS),
    ("2jy", 24 * 3600, "allow {name} 80 tcp /usr/bin/curl"),
    ("fy", None, "allow {name} 80 tcp /usr/bin/curl"),
    ("fjan", None, "deny {name} 80 tcp /usr/bin/curl " + ARGS),
    ("fjdy", None, "allow *.{domain} 80 tcp /usr/bin/curl"),
    ("fjddy", None, "allow - 80 tcp /usr/bin/curl"),
    ("fjdddpn", None, "deny {name} - tcp /usr/bin/curl"),
    ("fjppy", None, "allow {name} 80 tcp /usr/bin/curl"),
    ("fjddpy", None, "allow - - tcp /usr/bin/curl"),
]


def curl(name: str = "shop.test") -> list[str]:
    return ["curl", "-4", "-sS", f"http://{name}/"]


def try_toggles(lab: Lab, daemon: Daemon, answer: Callable[[str, str], None]) -> None:
    """Try the whole table. `answer` waits for the question about a name, and types the keys."""
    for number, (keys, held_s, line) in enumerate(TOGGLES, 1):
        name = f"n{number}.{('page', 'cdn', 'img', 'font', 'ads')[number % 5]}.test"
        client = lab.spawn(curl(name))
        answer(name, keys)
        assert client.wait(timeout=WAIT_S) == (0 if "y" in keys else 7), keys
        told = daemon.wait_for_count(lambda record: record["event"] == "answer", number)[-1]
        written, until_s = take_time(told)
        assert written == line.format(name=name, domain=name.partition(".")[2]), keys
        assert (until_s is None) is (held_s in (0, None)), keys
        # The line has whole seconds, and the record is written a little later, on a slow machine up to some seconds.
        assert until_s is None or -10 <= until_s - (held_s or 0) <= 1, keys
        assert daemon.read_rules() == DNS_RULE + (f"{written}\n" if held_s is None else "")
        if held_s != 0:
            assert daemon.cli("rules", "remove", told["rule"]).returncode == 0


def take_time(answer: Record) -> tuple[str, float | None]:
    """The rule line without `until=`, and how many seconds after the answer that time is."""
    until_s = parse_rule(answer["rule"]).until_s
    line = re.sub(" until=[^ ]+", "", answer["rule"])
    return line, None if until_s is None else until_s - datetime.fromisoformat(answer["time"]).timestamp()
