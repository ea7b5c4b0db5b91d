import os
import subprocess
import sys
from pathlib import Path

import pytest

from tinysnitch.kernel.system.proc_place import PROC

LOOK = "from tinysnitch.kernel.system.proc_place import PROC; print(PROC)"


@pytest.mark.privileged
def test_proc_is_an_instance_of_its_own() -> None:
    assert os.stat(PROC).st_dev != os.stat("/proc").st_dev
    assert Path(PROC, "self/stat").read_text().startswith(f"{os.getpid()} ")


@pytest.mark.privileged
def test_without_the_right_to_mount_it_is_the_machines() -> None:
    weak = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", LOOK]
    assert subprocess.check_output(weak, text=True) == "/proc\n"


@pytest.mark.privileged
def test_it_takes_the_place_of_no_standard_stream() -> None:
    """Whoever starts us may have closed these; the commands open them later."""
    tell = "import os; from tinysnitch.kernel.system.proc_place import PROC; os._exit(int(os.path.basename(PROC)))"
    closed = ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, tell]
    assert subprocess.run(closed, check=False).returncode > 2
