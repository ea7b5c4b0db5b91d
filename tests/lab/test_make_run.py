"""`make run`: the firewall and its prompt in one terminal, and Ctrl-C takes everything away again."""

import time

import pytest

from tests.lab.lab import Lab
from tests.lab.person import Person
from tests.lab.test_stop import saved_rules
from tests.lab.world import WORLD4
from tests.repo.tree import ROOT

pytestmark = [pytest.mark.privileged]

RUN = str(ROOT / "packaging" / "run.sh")
# /etc, /run and the like as the script finds them, but what it writes there goes with the mount namespace.
PRIVATE_FILES = """
for place in /run /var/lib /var/log; do mount -t tmpfs private "$place"; done
mkdir /run/etc /run/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work private /etc
cp "$1" /etc/resolv.conf
shift
exec "$@"
"""


def privately(lab: Lab, command: list[str]) -> list[str]:
    resolvers = str(lab.folder / "resolv.conf")
    return [
        *lab.namespaces.enter_host_outside(),
        "unshare",
        "--mount",
        "sh",
        "-ec",
        PRIVATE_FILES,
        "sh",
        resolvers,
        *command,
    ]


def test_it_asks_in_the_terminal_and_leaves_nothing(lab: Lab) -> None:
    before = saved_rules(lab)
    person = Person(privately(lab, [RUN]))
    person.see("no questions", timeout_s=30)
    curl = lab.spawn(["curl", "-sS", f"http://{WORLD4}/"])
    person.see("curl wants to reach")
    time.sleep(0.6)  # keys count from half a second after the question
    person.type("y")
    assert curl.communicate(timeout=10)[0] == "welcome to the shop\n"
    person.type("\x03")
    assert person.process.wait(timeout=20) in (0, 130)
    person.close()
    assert saved_rules(lab) == before
    assert lab.run_outside(["find", "/sys/fs/bpf", "-name", "tinysnitch*"]).stdout == ""
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 0


def test_one_command_is_judged_alone(lab: Lab) -> None:
    ran = lab.run_outside(privately(lab, [RUN, "--", f"curl -sS http://{WORLD4}/; exit 3"]), timeout_s=40)
    assert ran.returncode == 3
    assert WORLD4 in ran.stderr
