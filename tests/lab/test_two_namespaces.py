"""Two daemons in two network namespaces with the same mounts and bpffs do not affect each other."""

from collections.abc import Iterator

import pytest

from tests.lab.daemon import BIN
from tests.lab.lab import Lab
from tests.lab.world import PROGRAMS, WORLD4

pytestmark = [pytest.mark.privileged]

CLIENT = ["/usr/bin/python3", str(PROGRAMS / "tcp_client.py"), WORLD4, "80"]


@pytest.fixture(name="other_lab")
def _other_lab(lab: Lab) -> Iterator[Lab]:
    """A lab with network namespaces of its own that uses the mount namespace, and so the bpffs, of the first lab."""
    with Lab() as other:
        other.namespaces.share_mounts(lab.namespaces)
        yield other


def test_each_has_its_own_rules_and_goes_alone(lab: Lab, other_lab: Lab) -> None:
    allowing = lab.start_daemon("allow - - -\n")
    denying = other_lab.start_daemon("deny - - -\n")
    for _first_and_cached in range(2):
        assert lab.run(CLIENT).stdout == "connected\n"
        assert "ConnectionRefusedError" in other_lab.run(CLIENT).stderr
    assert denying.stop() == 0
    assert other_lab.run(CLIENT).stdout == "connected\n"
    allowing.edit_rules("deny - - -\n")
    assert "ConnectionRefusedError" in lab.run(CLIENT).stderr
    assert allowing.stop() == 0


def test_a_second_daemon_for_one_namespace_is_refused(lab: Lab) -> None:
    daemon = lab.start_daemon("deny - - -\n")
    with pytest.raises(AssertionError, match="tinysnitch: error: "):
        lab.start_daemon("allow - - -\n")
    assert "ConnectionRefusedError" in lab.run(CLIENT).stderr
    assert daemon.stop() == 0


def test_a_second_daemon_on_one_state_folder_is_refused(lab: Lab, other_lab: Lab) -> None:
    """Otherwise an answer in one namespace would become a rule in the other."""
    daemon = lab.start_daemon("deny - - -\n")
    shared = ("--state-dir", str(daemon.rules.parent / "state"))
    with pytest.raises(AssertionError, match=rf"another tinysnitchd, process {daemon.process.pid}\n.*--state-dir"):
        other_lab.start_daemon("allow - - -\n", *shared)
    assert "ConnectionRefusedError" in lab.run(CLIENT).stderr
    assert other_lab.run(CLIENT).stdout == "connected\n"
    daemon.kill()
    assert other_lab.start_daemon("allow - - -\n", *shared).stop() == 0


def test_a_run_goes_on_beside_a_daemon(lab: Lab) -> None:
    daemon = lab.start_daemon("deny - - -\n")
    rules = daemon.rules.with_name("run.rules")
    rules.write_text("allow - - -\n")
    command = [str(BIN / "tinysnitch"), "run", "--rules", str(rules), "--", "true"]
    done = lab.run_outside(command)
    assert done.returncode == 0, done.stderr
    assert daemon.stop() == 0


@pytest.mark.parametrize("options", ["", "use-vc"])
@pytest.mark.parametrize("family", ["-4", "-6"])
def test_a_run_and_the_daemon_beside_it_learn_the_same_names(lab: Lab, family: str, options: str) -> None:
    """Both have to read each question and each answer, over UDP and TCP."""
    text = "allow @resolvers 53 -\nallow shop.test 80 tcp\n"
    daemon = lab.start_daemon(text, "--timeout", "0")
    rules = daemon.rules.with_name("run.rules")
    rules.write_text(text)
    command = [str(BIN / "tinysnitch"), "run", "--rules", str(rules), "--", "curl", family, "-sS", "http://shop.test/"]
    done = lab.run_outside(["env", f"RES_OPTIONS={options}", *command])
    assert (done.returncode, done.stdout) == (0, "welcome to the shop\n"), f"{done.stderr}\n{daemon.describe()}"
    assert daemon.wait_connection(remote_port=80)["name"] == "shop.test"
    asked = {"": "udp", "use-vc": "tcp"}[options]
    assert daemon.wait_connection(remote_port=53)["protocol"] == asked
