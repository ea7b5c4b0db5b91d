"""A cgroup named like that of a snap, a container or a unit counts as such only where root alone can name cgroups."""

import shutil

import pytest

from tests.evasion.stage import ATTACKER, PORT, TARGET, Stage

pytestmark = [pytest.mark.privileged]

# What a user's session manager does for whoever asks it: `systemd-run --user --scope --unit=NAME`.
IN_CGROUP = ["sh", "-ec", 'echo $$ >"$0/cgroup.procs"; exec setpriv --reuid=nobody --clear-groups -- "$@"']
IN_OWN_CGROUP = ["sh", "-ec", 'mkdir "$0"; echo $$ >"$0/cgroup.procs"; exec "$@"']
CONTAINER = f"docker-{'0123456789abcdef' * 4}.scope"


def test_a_scope_that_is_named_like_a_snaps(stage: Stage) -> None:
    """Below the user's manager the name does not count; below system.slice, where root alone names them, it does."""
    stage.daemon.edit_rules(f"allow - {PORT} tcp snap:hello\n")
    verdicts = {}
    for folder in ("user@65534.service/app.slice", "system.slice"):
        scope = stage.lab.cgroup / folder / "snap.hello.world-1.scope"
        scope.mkdir(parents=True)
        verdicts[folder] = stage.run(*IN_CGROUP, scope, stage.attack, "plain", *TARGET, user=None)["verdict"]
    assert list(verdicts.values()) == ["deny", "allow"]


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        (CONTAINER, "container:0123456789ab"),
        ("lxc.payload.web", "container:web"),
        ("ssh.service", "unit:ssh.service"),
        ("snap.hello.world-1.scope", "snap:hello"),
    ],
)
@pytest.mark.parametrize("folder", ["session-3.scope", "runner.service", "own"])
def test_a_cgroup_that_a_user_named_in_a_folder_that_root_gave_away(
    stage: Stage, folder: str, name: str, owner: str
) -> None:
    """pam_cgfs gives away the cgroup of a session, systemd that of a service with User= and Delegate=."""
    stage.daemon.edit_rules(f"allow - {PORT} tcp {owner}\n")
    given = stage.lab.cgroup / "given" / folder
    given.mkdir(parents=True, exist_ok=True)
    for place in (given, given / "cgroup.procs"):
        shutil.chown(place, ATTACKER)
    record = stage.run(*IN_CGROUP, given, *IN_OWN_CGROUP, given / name, stage.attack, "plain", *TARGET, user=None)
    assert record["verdict"] == "deny", record
