from hypothesis import given
from hypothesis import strategies as st

from tests.bpf.packet_place import LABEL
from tinysnitch.kernel.netfilter.rules import RuleSet
from tinysnitch.kernel.netfilter.saved_rules import count_others, render_addition, render_removal


@given(st.text(), st.text(alphabet='*:-A COMMITOUTPUT\n"[]0'))
def test_any_text_of_iptables_save_is_read(text: str, likely: str) -> None:
    for saved in (text, likely, f"*mangle\n{likely}\nCOMMIT\n"):
        assert f"-X {LABEL}" not in render_removal(saved, LABEL)
        assert render_addition(RuleSet({}, []), saved, LABEL) == "\n"


def test_removal_takes_jumps_before_chains_and_no_chain_of_a_longer_name() -> None:
    saved = f"*mangle\n:{LABEL}-OUT - [0:0]\n:{LABEL}-2-OUT - [0:0]\n-A OUTPUT -j {LABEL}-OUT\nCOMMIT\n"
    expected = f"*mangle\n-D OUTPUT -j {LABEL}-OUT\n-F {LABEL}-OUT\n-X {LABEL}-OUT\nCOMMIT\n"
    assert render_removal(saved, LABEL) == expected


def test_rules_of_others_are_counted_by_table() -> None:
    saved = (
        "*nat\n-A OUTPUT -j ACCEPT\nCOMMIT\n*mangle\n-A OUTPUT -j TINYSNITCH-OUT\n-A TINYSNITCH-OUT -j RETURN\n"
        "-A TS-RUN-12-IN -j ACCEPT\n-A INPUT -m comment --comment x -g TS-RUN-12-IN\n-A INPUT -j OTHER-IN\nCOMMIT\n"
    )
    assert count_others(saved) == {"nat": 1, "mangle": 1}
