"""Rules by path: a path over symbolic links means the file that it leads to."""

import shutil
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.patience import wait_until
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]


def fetches(lab: Lab, program: Path) -> bool:
    return lab.run([str(program), "-sS", f"http://{WORLD4}/"]).returncode == 0


@pytest.mark.parametrize("way", ["bin/*", "bin/cur*", "bin//*", "up/bin/**", "bin/curl"])
def test_a_denial_over_a_link_denies(lab: Lab, way: str) -> None:
    """/bin is a link to /usr/bin on most machines."""
    (lab.folder / "bin").symlink_to("/usr/bin")
    (lab.folder / "up").symlink_to("/usr")
    rule = f"deny - 80 tcp {lab.folder}/{way}"
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n{rule}\n")
    assert not fetches(lab, Path("/usr/bin/curl"))
    record = daemon.wait_connection()
    assert (record["verdict"], record["program"], record["rule"]) == ("deny", "/usr/bin/curl", rule)


@pytest.mark.parametrize("behind", ["fetch", "*"])
def test_a_denial_follows_a_link_that_is_turned_meanwhile(lab: Lab, behind: str) -> None:
    """update-alternatives turns links so."""
    old, new = (lab.folder / version / "fetch" for version in ("v1", "v2"))
    for program in (old, new):
        program.parent.mkdir()
        shutil.copy("/usr/bin/curl", program)
    link = lab.folder / "current"
    link.symlink_to("v1")
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\ndeny - 80 tcp {link}/{behind}\n")
    assert (fetches(lab, old), fetches(lab, new)) == (False, True)
    link.with_name("next").symlink_to("v2")
    link.with_name("next").rename(link)
    wait_until(lambda: daemon.cli("explain", str(new), WORLD4, "80", "tcp").stdout.startswith("deny"))
    assert (fetches(lab, old), fetches(lab, new)) == (True, False)
