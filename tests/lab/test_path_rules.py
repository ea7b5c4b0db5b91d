"""Rules by path: whatever way leads there, the file is the same."""

import pytest

from tests.lab.lab import Lab
from tests.lab.world import WORLD4

pytestmark = [pytest.mark.privileged]


@pytest.mark.parametrize("way", ["bin/*", "bin/cur*", "bin//*", "up/bin/**", "bin/curl"])
def test_a_denial_over_a_link_denies(lab: Lab, way: str) -> None:
    """As /bin is one where /usr is merged."""
    (lab.folder / "bin").symlink_to("/usr/bin")
    (lab.folder / "up").symlink_to("/usr")
    rule = f"deny - 80 tcp {lab.folder}/{way}"
    daemon = lab.start_daemon(f"allow {WORLD4} 80 tcp\n{rule}\n")
    assert lab.run(["curl", "-sS", f"http://{WORLD4}/"]).returncode == 7
    record = daemon.wait_connection()
    assert (record["verdict"], record["program"], record["rule"]) == ("deny", "/usr/bin/curl", rule)
