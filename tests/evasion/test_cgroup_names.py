"""Below `user@UID.service` every user names the cgroups: a snap's name there is not enough."""

import pytest

from tests.evasion.stage import PORT, TARGET, Stage

pytestmark = [pytest.mark.privileged]

# As the session manager does it for anyone who asks: `systemd-run --user --scope --unit=NAME`.
IN_CGROUP = ["sh", "-ec", 'echo $$ >"$0/cgroup.procs"; exec setpriv --reuid=nobody --clear-groups -- "$@"']


def test_a_scope_that_is_called_like_a_snaps(stage: Stage) -> None:
    """Where root alone names them, the name counts."""
    stage.daemon.edit_rules(f"allow - {PORT} tcp snap:hello\n")
    verdicts = {}
    for folder in ("user@65534.service/app.slice", "system.slice"):
        scope = stage.lab.cgroup / folder / "snap.hello.world-1.scope"
        scope.mkdir(parents=True)
        verdicts[folder] = stage.run(*IN_CGROUP, scope, stage.attack, "plain", *TARGET, user=None)["verdict"]
    assert list(verdicts.values()) == ["deny", "allow"]
