"""Choosing in two rounds: inside each chain of attempts first, then among the chains' choices (arXiv 2408.03314, section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from openr_data.search.select import Ballot, choose


def winners(ballots: Sequence[Ballot], chains: Sequence[int], selector: str) -> list[int]:
    """Of each chain the candidate that is chosen among its own, in the order of the chains; none of a chain without an answer."""
    members: dict[int, list[int]] = {}
    for place, chain in enumerate(chains):
        members.setdefault(chain, []).append(place)
    best = [(places, choose([ballots[place] for place in places], selector)) for places in members.values()]
    return [places[found] for places, found in best if found is not None]


def chosen(ballots: Sequence[Ballot], chains: Sequence[int], selector: str) -> int | None:
    """The index of the candidate that is chosen. With one chain, or with one candidate in each, there is only one round.

    >>> chosen([Ballot(0), Ballot(0), Ballot(1), Ballot(2), Ballot(1), Ballot(2)], [0, 0, 0, 1, 1, 2], "majority_vote")
    3
    """
    places = winners(ballots, chains, selector)
    final = choose([ballots[place] for place in places], selector)
    return None if final is None else places[final]
