import resource
import subprocess
import sys

SCRIPT = """
import resource
from tinysnitch.kernel.descriptor_limit import raise_limit, set_limits
before = raise_limit()
print(before, resource.getrlimit(resource.RLIMIT_NOFILE))
set_limits(before)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_and_put_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 4000)),
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "(300, 4000) (4000, 4000)\n(300, 4000)\n", done.stderr
