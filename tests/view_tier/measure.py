"""How fast a page is: times in a headless Chromium, as JSON. `benchmarks/view.py` runs it in the environment of the view tier.

`first_table`: from the start of the navigation to the first drawn table; `all_searchable`: until every text can be searched;
`key`: from a letter in the search to the list drawn for it; `scroll`: between two frames while the list runs past; `open_row`:
from a click to the steps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from view_tier.browser import Page, browser

WORDS = "prime factor angle 12"

OPENING = """
window.times = {};
new MutationObserver(() => {
  for (const name of ['ready', 'search']) {
    const state = document.documentElement && document.documentElement.dataset[name];
    const key = state && `${name}:${state}`;
    if (key && !(key in window.times)) {
      window.times[key] = -1;
      requestAnimationFrame(() => setTimeout(() => { window.times[key] = performance.now(); }));
    }
  }
}).observe(document, {subtree: true, attributes: true});
"""

TYPING = """
const done = arguments[arguments.length - 1];
const box = document.querySelector('#search');
const times = [];
(async () => {
  for (let end = 1; end <= arguments[0].length; end += 1) {
    box.value = arguments[0].slice(0, end);
    const began = performance.now();
    box.dispatchEvent(new Event('input'));
    document.querySelector('.scroller').getBoundingClientRect();
    await new Promise((frame) => requestAnimationFrame(() => setTimeout(frame)));
    times.push(performance.now() - began);
  }
  box.value = '';
  box.dispatchEvent(new Event('input'));
  done(times);
})();
"""

SCROLLING = """
const done = arguments[arguments.length - 1];
const box = document.querySelector('.scroller');
const times = [];
let before = 0;
function frame(now) {
  if (before) times.push(now - before);
  before = now;
  box.scrollTop += arguments0;
  if (times.length < 120) requestAnimationFrame(frame); else done(times);
}
const arguments0 = arguments[0];
requestAnimationFrame(frame);
"""

ROW = """
const done = arguments[arguments.length - 1];
const began = performance.now();
new MutationObserver((_, watching) => {
  watching.disconnect();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
}).observe(document.querySelector('.detail'), {childList: true});
document.querySelectorAll('.space .row')[arguments[0]].click();
"""


def measured(page: Page, file: Path) -> dict[str, Any]:
    page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": OPENING})
    page.open(file)
    page.wait("window.times['search:complete'] > 0")
    opened = page.js("window.times")
    page.driver.set_script_timeout(60)
    keys = page.driver.execute_async_script(TYPING, WORDS)
    slow = page.driver.execute_async_script(SCROLLING, 90)
    fast = page.driver.execute_async_script(SCROLLING, 4000)
    rows = [page.driver.execute_async_script(ROW, place) for place in (3, 9, 12)]
    return {
        "first_table_ms": round(opened["ready:table"]),
        "all_searchable_ms": round(opened["search:complete"]),
        "key_ms": spread(keys),
        "scroll_frame_ms": spread(slow),
        "scroll_far_frame_ms": spread(fast),
        "open_row_ms": spread(rows),
        "heap_mb": round(page.js("performance.memory.usedJSHeapSize") / 1e6),
    }


def spread(times: list[float]) -> dict[str, float]:
    return {"median": round(median(times), 1), "worst": round(max(times), 1)}


if __name__ == "__main__":
    with browser() as opened_page:
        json.dump(measured(opened_page, Path(sys.argv[1])), sys.stdout)
