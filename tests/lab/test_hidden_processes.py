"""Where /proc does not show the daemon all processes, more programs are unknown: it says so at its start, and why."""

import subprocess

import pytest

from tests.lab.daemon import BIN, file_flags
from tests.lab.lab import Lab
from tests.lab.patience import read_line

pytestmark = [pytest.mark.privileged]

OWN_NUMBERS = ("unshare", "--pid", "--kill-child", "--mount-proc")
FEWER_RIGHTS = ("setpriv", "--bounding-set=-sys_ptrace,-dac_read_search,-dac_override", "--inh-caps=-all")
NO_QUESTIONS = ("--timeout", "0")  # else it says how to be asked
ALL_OF_THEM = "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH"


def warnings_of(lab: Lab, *flags: str, front: tuple[str, ...] = ()) -> str:
    """Start a daemon; what it says on standard error until it is ready."""
    folder = lab.folder / "daemon"
    folder.mkdir()
    (folder / "rules").touch(0o600)
    words = [*file_flags(folder), "--cgroup", str(lab.cgroup), "--log", "json", *NO_QUESTIONS, *flags]
    command = [*lab.namespaces.enter_host_outside(), *front, str(BIN / "tinysnitchd"), *words]
    with (folder / "stderr").open("w") as stderr:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True)
        lab.namespaces.track(daemon)
        assert '"ready"' in read_line(daemon)
        return (folder / "stderr").read_text()


def test_a_pid_namespace_of_its_own_is_told(lab: Lab) -> None:
    said = warnings_of(lab, front=OWN_NUMBERS)
    assert "tinysnitch: inbound connections, and programs that ran already, may be judged as unknown: " in said
    assert "--pid=host" in said


def test_without_bpf_a_pid_namespace_of_its_own_is_no_reason_to_warn(lab: Lab) -> None:
    assert warnings_of(lab, "--no-bpf", front=OWN_NUMBERS) == ""


@pytest.mark.parametrize("flags", [(), ("--no-bpf",)])
def test_lacking_capabilities_are_told(lab: Lab, flags: tuple[str, ...]) -> None:
    assert ALL_OF_THEM in warnings_of(lab, *flags, front=FEWER_RIGHTS)


def test_nothing_is_told_where_all_is_seen(lab: Lab) -> None:
    assert warnings_of(lab) == ""
