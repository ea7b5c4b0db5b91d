import pytest

from tinysnitch.cli.container_engines import tell_of_engine


@pytest.mark.parametrize("command", ["docker", "/usr/bin/podman"])
def test_that_an_engine_has_containers_run_elsewhere_is_told(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_engine(command)
    assert "is not judged" in capsys.readouterr().err


def test_of_other_commands_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    tell_of_engine("/usr/bin/curl")
    assert capsys.readouterr().err == ""
