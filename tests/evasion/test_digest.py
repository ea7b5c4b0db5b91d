"""`sha256=` in a rule is the content of the file that was executed, not what the path held once."""

import hashlib

import pytest

from tests.evasion.stage import PORT, TARGET, Stage

pytestmark = [pytest.mark.privileged]


def test_a_rule_with_a_digest_holds_for_that_content_alone(stage: Stage) -> None:
    content = stage.honest.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    stage.daemon.edit_rules(f"allow sha256={digest} - {PORT} tcp {stage.honest}\n")
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"
    stage.honest.write_bytes(content + b"\0")  # the same inode, and it runs just the same
    stage.assert_denied(stage.honest, "plain", *TARGET)
    stage.honest.write_bytes(content)
    assert stage.run(stage.honest, "plain", *TARGET)["verdict"] == "allow"
