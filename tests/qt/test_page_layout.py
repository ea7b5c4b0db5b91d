from PySide6.QtCore import QPointF, QRectF

from tinysnitch.qt.page_layout import PageLayout


def test_keys_are_found_where_they_are_shown() -> None:
    inner, page = PageLayout(), PageLayout()
    inner.add_key(QRectF(10, 0, 20, 20), "y")
    page.add_page(inner, 100)
    assert page.find_key(QPointF(15, 105)) == "y"
    assert page.find_key(QPointF(15, 5)) is None
    assert [label for _box, label in page.keys] == ["y"]
