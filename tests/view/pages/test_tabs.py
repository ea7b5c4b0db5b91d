from tinysnitch.view.keys import find_key, find_list_act
from tinysnitch.view.pages.tabs import PageName, find_page, key_of, present_tabs

PAGES = (PageName.QUESTIONS, PageName.LIVE, PageName.RULES)


def test_no_key_that_switches_answers_a_question_or_chooses_for_one() -> None:
    keys = ["ctrl+n", "ctrl+p", *map(key_of, PageName)]
    assert [key for key in keys if find_key(key) or find_list_act(key)] == []


def test_a_key_goes_to_its_page_or_around_the_pages_that_are_there() -> None:
    assert find_page("f6", PageName.QUESTIONS, PAGES) is PageName.RULES
    assert find_page("f4", PageName.QUESTIONS, PAGES) is None, "there is no such page"
    assert find_page("y", PageName.RULES, PAGES) is None
    assert find_page("ctrl+n", PageName.RULES, PAGES) is PageName.QUESTIONS
    assert find_page("ctrl+p", PageName.RULES, PAGES) is PageName.LIVE


def test_the_tabs_are_those_of_the_pages_that_are_there() -> None:
    tabs = present_tabs(PageName.LIVE, PAGES)
    assert [(tab.label, tab.page, tab.is_on) for tab in tabs] == [
        ("F2", PageName.QUESTIONS, False),
        ("F3", PageName.LIVE, True),
        ("F6", PageName.RULES, False),
    ]
