"""The page of the command `serve`: one recording, restored in a browser.

    browser → guard → server → workspace (one thread) → recording → renditions

`recording` is what was uploaded and what is found in it; `renditions` are what
is heard and seen of it before and after. page.html, page.js and view.js share
the listening page's look, player and controls, see `report.page`.
"""
