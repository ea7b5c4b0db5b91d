"""A verdict that the kernel remembers for an honest program never holds for another one that only seems to be its twin.

Each attack comes twice: cold, and right after the honest program was let through twice, the second time by the kernel
alone. It is denied both times.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from tests.evasion.stage import ATTACKER, ELSEWHERE, PORT, PYTHON, TARGET, Stage
from tests.evasion.test_which_file import FROM_MEMORY, IN_MOUNTS, wait_running
from tests.lab.lab import DNS_RULE
from tests.lab.patience import WAIT_S, read_line, read_until, wait_until, write_line
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]

NAMED, OTHER_NAMED = "first.shared.test", "second.shared.test"  # names of one address
CURL = "/usr/bin/curl"
FETCH = [CURL, "--silent", "--ipv4", "--output", "/dev/null"]
BASH = ["-c", '"$@"; exit $?', "bash"]
IN_CGROUP = ["sh", "-ec", 'echo $$ >"$0/cgroup.procs"; exec setpriv --reuid=nobody --clear-groups -- "$@"']
REFUSED = "Connection refused\n"
TRIES = 2000  # files that are made to get an inode again

# Opens the program, and for each line executes what it has open.
HOLD = """
import os, subprocess, sys
program = os.open(sys.argv[1], os.O_RDONLY)
print("open", flush=True)
for _line in sys.stdin:
    command = [sys.argv[1], "plain", *sys.argv[2:]]
    done = subprocess.run(command, executable=f"/proc/self/fd/{program}", pass_fds=[program], stdout=2)
    print(done.returncode, flush=True)
"""
_numbers = count(10_000)


class Twin:
    """An honest program of root's, of which no verdict is remembered yet, and which a rule allows."""

    def __init__(self, stage: Stage, *, is_warm: bool) -> None:
        self.stage, self.is_warm = stage, is_warm
        self.number = next(_numbers)
        self.program = stage.honest.with_name(f"program-{self.number}")
        shutil.copy(stage.honest, self.program)
        self.allow(f"allow - {PORT} tcp {self.program}\n")

    def allow(self, rules: str) -> None:
        """Put these rules in force, which no other scene has: the last one is about no program, and widens no key."""
        self.stage.daemon.edit_rules(f"{rules}deny - - - /none/{self.number}\n")

    def meet(self, *command: str | Path, user: str | None = ATTACKER, is_shared: bool | None = True) -> None:
        """The honest program is let through. `is_shared`: the second time without a question to the daemon. None: that
        depends on what was before."""
        if not self.is_warm:
            return
        words = [str(word) for word in command or (self.program, "plain", *TARGET)]
        known = len(self.stage.decisions())
        for _ in range(2):
            done = self.stage.lab.run(words, user=user)
            assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        self.stage.settle()
        assert len(self.stage.decisions()) - known in {True: [1], False: [2], None: [1, 2]}[is_shared]

    def is_denied(self, *command: str | Path, user: str | None = ATTACKER) -> bool:
        return bool(self.stage.run(*command, user=user)["verdict"] == "deny")

    @contextmanager
    def held(self) -> Iterator[Callable[[], bool]]:
        """The attacker has the program open, whatever becomes of its path. Tells whether executing it is in vain, as
        it is not before."""
        child = self.stage.lab.spawn([PYTHON, "-c", HOLD, str(self.program), *TARGET], ATTACKER, subprocess.PIPE)
        assert read_line(child) == "open\n"

        def is_in_vain() -> bool:
            write_line(child)
            said = read_until(child, lambda lines: lines[-1].strip().isdigit())
            assert said in ([REFUSED, "1\n"], ["connected\n", "0\n"])
            return said[0] == REFUSED

        if self.is_warm:
            assert not is_in_vain()
        yield is_in_vain
        child.kill()
        child.wait()


def other_arguments(twin: Twin) -> bool:
    twin.allow(f"allow - - tcp {twin.program} plain {' '.join(TARGET)}\n")
    twin.meet()
    return twin.is_denied(twin.program, "plain", ELSEWHERE, PORT)


def denied_arguments(twin: Twin) -> bool:
    twin.allow(f"allow - - tcp {twin.program}\ndeny - - tcp {twin.program} plain {ELSEWHERE} {PORT}\n")
    twin.meet()
    return twin.is_denied(twin.program, "plain", ELSEWHERE, PORT)


def code_in_arguments(twin: Twin) -> bool:
    python, code = os.path.realpath(PYTHON), "import socket; socket.create_connection(('{}', 80), 60)"
    words = [code.format(address) for address in (WORLD4, ELSEWHERE)]
    twin.allow(f'allow - - tcp {python} -c "{words[0]}"\n')
    twin.meet(PYTHON, "-c", words[0])
    return twin.is_denied(PYTHON, "-c", words[1])


def another_script(twin: Twin) -> bool:
    """What the arguments of an interpreter lead to is looked up for each exec."""
    twin.allow(f"allow - - tcp {twin.stage.script}\n")
    twin.meet(PYTHON, twin.stage.script, *TARGET, is_shared=False)
    return twin.is_denied(PYTHON, twin.stage.evil_script, *TARGET)


def another_user(twin: Twin) -> bool:
    twin.allow(f"allow user={ATTACKER} - - tcp {twin.program}\n")
    twin.meet()
    return twin.is_denied(twin.program, "plain", *TARGET, user=None)


def another_cgroup(twin: Twin) -> bool:
    unit = twin.stage.lab.cgroup / "system.slice" / f"twin-{twin.number}.service"
    unit.mkdir(parents=True)
    twin.allow(f"allow - - tcp unit:{unit.name}\n")
    twin.meet(*IN_CGROUP, unit, twin.program, "plain", *TARGET, user=None)
    return twin.is_denied(twin.program, "plain", *TARGET)


def another_parent(twin: Twin) -> bool:
    parent = twin.program.with_name(f"parent-{twin.number}")
    shutil.copy("/usr/bin/bash", parent)
    twin.allow(f"allow parent={parent} - - tcp {twin.program}\n")
    child = [*BASH, twin.program, "plain", *TARGET]
    twin.meet(parent, *child, is_shared=None)  # a script among its ancestors tells nothing
    return twin.is_denied("/usr/bin/bash", *child)


def another_remote(twin: Twin) -> bool:
    twin.allow(f"allow - {PORT} tcp {twin.program}\ndeny {ELSEWHERE} {PORT} tcp {twin.program}\n")
    twin.meet()
    return twin.is_denied(twin.program, "plain", ELSEWHERE, PORT)


def hard_link(twin: Twin) -> bool:
    link = twin.stage.folder / f"hard-{twin.number}"
    link.hardlink_to(twin.program)
    twin.meet()
    return twin.is_denied(link, "plain", *TARGET)


def replaced(twin: Twin) -> bool:
    """The file lives on by another name, and is executed by a descriptor."""
    with twin.held() as is_in_vain:
        twin.program.with_suffix(".hard").hardlink_to(twin.program)
        shutil.copy(twin.program, twin.program.with_suffix(".new"))
        os.replace(twin.program.with_suffix(".new"), twin.program)
        return is_in_vain()


def deleted(twin: Twin) -> bool:
    with twin.held() as is_in_vain:
        twin.program.unlink()
        return is_in_vain()


def in_memory(twin: Twin) -> bool:
    twin.meet()
    script = FROM_MEMORY.format(name=str(twin.program), attack=twin.program, way="fexecve")
    return twin.is_denied(PYTHON, "-c", script, *TARGET)


def inode_used_again(twin: Twin) -> bool:
    """By a file of the attacker's at another path."""
    twin.meet()
    inode = twin.program.stat().st_ino
    twin.program.unlink()
    for number in range(TRIES):
        file = twin.stage.folder / f"again-{twin.number}-{number}"
        file.touch()
        if file.stat().st_ino == inode:
            break
    shutil.copy(twin.stage.attack, file)
    return twin.is_denied(file, "plain", *TARGET)


def other_content(twin: Twin) -> bool:
    """Of the same inode, where a rule asks for the sum."""
    content = twin.program.read_bytes()
    twin.allow(f"allow sha256={sha256(content).hexdigest()} - - tcp {twin.program}\n")
    twin.meet(is_shared=False)
    twin.program.write_bytes(content + b"\0")
    return twin.is_denied(twin.program, "plain", *TARGET)


def mounted_over_in_a_namespace(twin: Twin) -> bool:
    twin.meet()
    script = 'mount --bind "$0" "$1"; exec "$1" plain "$2" "$3"'
    return twin.is_denied(*IN_MOUNTS, script, twin.stage.attack, twin.program, *TARGET)


def mounted_over_in_a_container(twin: Twin) -> bool:
    """By its engine, which is root."""
    container = twin.stage.lab.cgroup / f"docker-{twin.number:064x}.scope"
    container.mkdir()
    twin.meet(user=None)
    script = 'echo $$ >"$3/cgroup.procs"; mount --bind "$0" "$1"; exec "$1" plain $2'
    front = ["unshare", "--mount", "sh", "-ec", script]
    return twin.is_denied(*front, twin.stage.attack, twin.program, " ".join(TARGET), container, user=None)


def mounted_over(twin: Twin) -> bool:
    """By root, where all see it. What is below is executed by a descriptor, some time after the daemon heard of it."""
    lab = twin.stage.lab
    with twin.held() as is_in_vain:
        assert lab.run_outside(["mount", "--bind", str(twin.stage.attack), str(twin.program)]).returncode == 0
        try:
            wait_until(is_in_vain)
            return True
        finally:
            lab.run_outside(["umount", str(twin.program)])


def change_of_rules(twin: Twin) -> bool:
    twin.meet()
    twin.allow("")
    return twin.is_denied(twin.program, "plain", *TARGET)


def change_of_a_link(twin: Twin) -> bool:
    link = twin.program.with_name(f"link-{twin.number}")
    link.symlink_to(twin.program)
    twin.allow(f"allow - - tcp {link}\n")
    twin.meet()
    link.unlink()
    link.symlink_to("/usr/bin/true")
    wait_until(lambda: twin.stage.lab.run([str(twin.program), "plain", *TARGET], user=ATTACKER).returncode != 0)
    return True


def another_name(twin: Twin) -> bool:
    """Of the same address, by the same program."""
    twin.allow(f"{DNS_RULE}allow {NAMED} {PORT} tcp {CURL}\n")
    twin.meet(*FETCH, f"http://{NAMED}/", is_shared=None)  # not once the address has had the other name, too
    return twin.is_denied(*FETCH, f"http://{OTHER_NAMED}/")


def another_address(twin: Twin) -> bool:
    """To which only the program itself says that the name leads."""
    twin.allow(f"{DNS_RULE}allow {NAMED} {PORT} tcp {CURL}\n")
    twin.meet(*FETCH, f"http://{NAMED}/", is_shared=None)  # not once the address has had the other name, too
    return twin.is_denied(*FETCH, "--resolve", f"{NAMED}:{PORT}:{ELSEWHERE}", f"http://{NAMED}/")


ATTACKS = [
    other_arguments,
    denied_arguments,
    code_in_arguments,
    another_script,
    another_user,
    another_cgroup,
    another_parent,
    another_remote,
    hard_link,
    replaced,
    deleted,
    in_memory,
    inode_used_again,
    other_content,
    mounted_over_in_a_namespace,
    mounted_over_in_a_container,
    mounted_over,
    change_of_rules,
    change_of_a_link,
    another_name,
    another_address,
]


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "with a twin"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_passes_for_its_twin(stage: Stage, attack: Callable[[Twin], bool], is_warm: bool) -> None:
    assert attack(Twin(stage, is_warm=is_warm))


def test_what_was_executed_before_its_file_was_replaced_is_a_twin(stage: Stage) -> None:
    """It runs the very file that the verdict is for, and nobody else gets that inode while it does."""
    twin = Twin(stage, is_warm=True)
    children = [stage.lab.spawn([str(twin.program), "wait", *TARGET], ATTACKER, subprocess.PIPE) for _ in range(2)]
    for child in children:
        wait_running(child.pid, twin.program)
    twin.meet()
    shutil.copy(twin.program, twin.program.with_suffix(".new"))
    os.replace(twin.program.with_suffix(".new"), twin.program)
    write_line(children[0])
    assert children[0].wait(WAIT_S) == 0
    twin.allow(f"allow - {PORT},{PORT}1 tcp {twin.program}\n")  # by other rules it is judged anew, by what is there now
    write_line(children[1])
    assert children[1].wait(WAIT_S) == 1
