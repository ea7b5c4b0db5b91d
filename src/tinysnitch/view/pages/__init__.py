"""The pages beside the questions, without a screen, a clock or a socket: a list, and what keys do with its rows.

A page takes keys (`ListPage.press`) and returns requests to the daemon (protocol/messages.py); the front end carries
them out and hands back the replies (`take`, `refuse`). What each page is about is in its own file: `RulesPage`. Its
view is made by a function beside it, all of it escaped.

No key of a page answers a question: keys come here only while the questions are not in sight. What changes rules is
shown first, and done by Enter, once it has been in sight for as long as a new question takes no key.

Begin with list_page.py, then rules_page.py.
"""
