"""What a model keeps of prefixes it has read: keys, values and margins, the least recently used leaving first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class State:
    """Of a prefix of `length` tokens: `kept` are keys and values of every layer, [2 * layers, heads, length, size], and `margins`
    the raw ones of its steps.
    """

    length: int
    kept: Tensor
    margins: tuple[float, ...]

    @property
    def bytes(self) -> int:
        return self.kept.numel() * self.kept.element_size()


class States:
    """At most `room` bytes of states, by the ids of the prefix; a larger one is not kept."""

    def __init__(self, room: int) -> None:
        self.room, self.used = room, 0
        self._states: OrderedDict[Ids, State] = OrderedDict()

    def get(self, ids: Sequence[int]) -> State | None:
        key = tuple(ids)
        state = self._states.get(key)
        if state is not None:
            self._states.move_to_end(key)
        return state

    def put(self, ids: Sequence[int], state: State) -> None:
        key = tuple(ids)
        if key in self._states or state.bytes > self.room:
            return
        self._states[key] = state
        self.used += state.bytes
        while self.used > self.room:
            self.used -= self._states.popitem(last=False)[1].bytes

    def clear(self) -> None:
        self._states.clear()
        self.used = 0
