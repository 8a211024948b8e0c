"""Where a completion ends at a stop string, alike for every engine. Knows texts, not tokens."""

from __future__ import annotations

from collections.abc import Sequence


def stop_at(text: str, stops: Sequence[str], prompt: str = "") -> int | None:
    r"""Where `text`, which follows `prompt`, is to be cut: at the start of the stop string that is complete first.

    A stop string may begin in the prompt: one that starts with the separator between steps does so after every prefix.

    >>> stop_at("so 4. END of it END", ("END",)), stop_at("so 4", ("END",))
    (6, None)
    >>> stop_at("Q: next", ("\n\nQ:",), "4\n\n")
    0
    """
    found = []
    for stop in filter(None, stops):
        lead = prompt[max(0, len(prompt) - len(stop) + 1) :]
        at = (lead + text).find(stop)
        if at >= 0:
            at -= len(lead)
            found.append((at + len(stop), at))
    return max(0, min(found)[1]) if found else None
