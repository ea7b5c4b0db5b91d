from tinysnitch.view.segment import Segment, text_of
from tinysnitch.view.segment_fit import fit_segments


def test_what_fits_stays() -> None:
    segments = (Segment("allow "), Segment("shop.test", is_covered=True))
    assert fit_segments(segments, 15) == segments


def test_the_longest_gives_way_in_its_middle() -> None:
    fitted = fit_segments((Segment("allow"), Segment("/a" * 50 + "/end")), 30)
    assert fitted[0].text == "allow"
    assert fitted[1].text.endswith("/end")
    assert len(text_of(fitted)) <= 30


def test_there_is_always_an_end() -> None:
    assert len(fit_segments((Segment("ab"), Segment("cd")), 0)) == 2
