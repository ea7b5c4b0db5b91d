"""Any text at all, hostile or not.

Of evenly chosen characters one text in a thousand has a lone surrogate, and none turns the others around.
"""

from hypothesis import strategies as st

from tinysnitch.core.rules.quoting import BLANKS

_ODD = st.characters(categories=("Cc", "Cf", "Cs", "Mn", "Zl", "Zp")) | st.sampled_from(sorted(BLANKS))
ANY_CHARACTER = st.characters(exclude_categories=()) | _ODD
ANY_TEXT = st.text(ANY_CHARACTER)
SOME_TEXT = st.text(ANY_CHARACTER, min_size=1)
