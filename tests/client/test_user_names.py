import subprocess
import sys
from pathlib import Path

import pytest

from tinysnitch.client.user_names import find_user

_NEWCOMER = """
import time
from tinysnitch.client import user_names
user_names.LIFE_S = 0.001
assert user_names.find_user(54321) is None
with open("/etc/passwd", "a") as file:
    file.write("newcomer:x:54321:54321::/:/bin/sh\\n")
while (name := user_names.find_user(54321)) is None:
    time.sleep(0.001)
print(name)
"""


def test_names_of_users() -> None:
    assert find_user(0) == "root"
    assert find_user(2**31 - 7) is None
    assert find_user(2**64) is None


@pytest.mark.privileged
def test_who_comes_later_is_known_a_while_later(tmp_path: Path) -> None:
    """In files of its own: the machine's are not touched."""
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    script = 'mount --bind "$0" /etc/passwd && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(tmp_path / "passwd"), sys.executable, "-c", _NEWCOMER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "newcomer\n"
