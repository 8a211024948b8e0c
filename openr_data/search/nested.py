"""Choosing in two rounds: inside each chain of attempts first, then among the chains' choices (arXiv 2408.03314, section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.search.select import Ballot, choose


def chosen(ballots: Sequence[Ballot], chains: Sequence[int], selector: str) -> int | None:
    """The index of the candidate that is chosen. With one chain, or with one candidate in each, there is only one round.

    >>> chosen([Ballot(0), Ballot(0), Ballot(1), Ballot(2), Ballot(1), Ballot(2)], [0, 0, 0, 1, 1, 2], "majority_vote")
    3
    """
    members: dict[int, list[int]] = {}
    for place, chain in enumerate(chains):
        members.setdefault(chain, []).append(place)
    winners = []
    for places in members.values():
        best = choose([ballots[place] for place in places], selector)
        if best is not None:
            winners.append(places[best])
    final = choose([ballots[place] for place in winners], selector)
    return None if final is None else winners[final]
