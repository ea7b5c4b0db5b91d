"""The sets of BPF programs that one test after the other borrows (tests/lab/loaded_programs.py)."""

import pytest

from tests.bpf.bpf_place import BpfPlace
from tests.lab import loaded_programs
from tinysnitch.kernel.bpf.libbpf import ObjectFile

pytestmark = pytest.mark.privileged


@pytest.mark.usefixtures("_clean_machine")
def test_a_set_that_was_used_is_lent_as_if_it_were_new(monkeypatch: pytest.MonkeyPatch) -> None:
    with BpfPlace() as first:
        programs, agent = first.load(), first.start_agent()
        _handle, cookie = agent.call("open_socket", "AF_INET", "SOCK_DGRAM")
        programs.set_generation(7)
        assert programs.find_owner(cookie)
        assert programs.find_process(agent.pid)
        pid = agent.pid
    monkeypatch.setattr(loaded_programs, "ObjectFile", _refuse)
    with BpfPlace() as second:
        programs = second.load()
        assert not programs.was_adopted
        assert programs.generation == 0
        assert (programs.find_owner(cookie), programs.find_process(pid)) == (None, None)
        assert not any(programs.read_statistics().values())


def _refuse(*_words: object) -> ObjectFile:
    raise AssertionError("it is loaded anew")
