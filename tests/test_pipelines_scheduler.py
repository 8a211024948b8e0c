"""Who is next at the engine, what a cancelled wait leaves behind, and when another question is opened."""

from __future__ import annotations

import asyncio
from random import Random

from openr_data.pipelines.scheduler import AHEAD, FEWEST, Gate, Order, Scheduler


def has_room(gate: Gate) -> bool:
    """A function, so that the type checker does not take an answer for lasting."""
    return gate.has_room


def order(item: int, depth: int = 0, call: int = 0, index: int = 0) -> Order:
    return Order(item, -depth, call, index)


def full(slots: int) -> Scheduler:
    """All places are taken."""
    scheduler = Scheduler(lambda: slots)
    scheduler.running = scheduler.places
    return scheduler


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def served(asked: list[Order]) -> list[Order]:
    """The order in which one place goes round."""

    async def run() -> list[Order]:
        scheduler, got = full(1), list[Order]()

        async def one(each: Order) -> None:
            await scheduler.acquire(each)
            got.append(each)
            await asyncio.sleep(0)
            scheduler.release()

        tasks = [asyncio.create_task(one(each)) for each in asked]
        await settle()
        assert (scheduler.waiting, got) == (len(asked), [])
        scheduler.release()
        await asyncio.gather(*tasks)
        assert (scheduler.waiting, scheduler.running) == (0, 0)
        return got

    return asyncio.run(run())


def test_older_questions_go_first_then_deeper_prefixes_and_samples_of_one_call_together() -> None:
    first, second = [order(1, 3, 7, index) for index in range(3)], [order(1, 3, 8, index) for index in range(3)]
    mixed = [each for pair in zip(second, first, strict=True) for each in pair]
    asked = [order(2, 9), *mixed, order(1, 2), order(1, 4), order(0, 1)]
    assert served(asked) == [order(0, 1), order(1, 4), *first, *second, order(1, 2), order(2, 9)]


def test_equal_orders_are_served_as_they_came_and_any_others_sorted() -> None:
    assert served([order(1)] * 3) == [order(1)] * 3
    random = Random(5)
    asked = [order(*(random.randrange(4) for _ in range(4))) for _ in range(60)]
    assert served(asked) == sorted(asked)


def test_no_more_than_the_places_are_given_and_they_follow_the_engine() -> None:
    async def run() -> None:
        slots = 8
        scheduler = Scheduler(lambda: slots)
        tasks = [asyncio.create_task(scheduler.acquire(order(item))) for item in range(30)]
        await settle()
        assert scheduler.running == scheduler.places == int(8 * AHEAD)
        assert scheduler.waiting == 30 - scheduler.places
        slots = 16
        scheduler.release()
        assert scheduler.running == scheduler.places == int(16 * AHEAD)
        slots = 2
        for _ in range(12):
            scheduler.release()
        assert scheduler.running == 20 - 12
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert scheduler.waiting == 0

    asyncio.run(run())


def test_a_cancelled_wait_leaves_the_queue_and_takes_no_place() -> None:
    async def run() -> None:
        scheduler = full(1)
        tasks = [asyncio.create_task(scheduler.acquire(order(item))) for item in range(100)]
        await settle()
        for task in tasks[:99]:
            task.cancel()
        await settle()
        assert scheduler.waiting == 1
        assert len(scheduler._queue) <= 2, "the memory of those who left is given back"
        scheduler.release()
        await tasks[99]
        assert scheduler.running == 1

    asyncio.run(run())


def test_many_that_leave_at_once_are_counted_once_each() -> None:
    """The heap is tidied by the first of them, while the others have not yet said that they leave."""

    async def run(left: int) -> None:
        scheduler = full(1)
        tasks = [asyncio.create_task(scheduler.acquire(order(item))) for item in range(100)]
        await settle()
        for task in tasks[:left]:
            task.cancel()
        await settle()
        assert scheduler.waiting == 100 - left
        for task in tasks[left:]:
            scheduler.release()
            await task
        scheduler.release()
        assert (scheduler.waiting, scheduler.running) == (0, 0)
        await asyncio.wait_for(scheduler.acquire(order(1)), 5)

    for left in (40, 60, 80, 100):
        asyncio.run(run(left))


def test_who_comes_while_others_leave_gets_the_free_place() -> None:
    async def run() -> None:
        scheduler = full(1)
        tasks = [asyncio.create_task(scheduler.acquire(order(item))) for item in range(3)]
        await settle()
        for task in tasks:
            task.cancel()
        scheduler.running = 0
        await asyncio.wait_for(scheduler.acquire(order(9)), 5)
        assert (scheduler.waiting, scheduler.running) == (0, 1)

    asyncio.run(run())


def test_a_place_that_was_given_to_a_cancelled_wait_goes_to_the_next() -> None:
    async def run() -> None:
        scheduler = full(1)
        first, second = (asyncio.create_task(scheduler.acquire(order(item))) for item in range(2))
        await settle()
        scheduler.release()  # it is given to the first, which has not woken yet
        first.cancel()
        await second
        assert (first.cancelled(), scheduler.running, scheduler.waiting) == (True, 1, 0)

    asyncio.run(run())


def test_places_are_neither_lost_nor_made_under_random_cancellation() -> None:
    async def run(seed: int) -> None:
        random, scheduler, most = Random(seed), Scheduler(lambda: 4), 0

        async def one(item: int) -> None:
            nonlocal most
            await scheduler.acquire(order(item, random.randrange(3)))
            try:
                most = max(most, scheduler.running)
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                scheduler.release()

        tasks = [asyncio.create_task(one(random.randrange(9))) for _ in range(80)]
        while pending := [task for task in tasks if not task.done()]:
            await asyncio.sleep(0)
            if random.random() < 0.7:
                random.choice(pending).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (scheduler.running, scheduler.waiting) == (0, 0)
        assert most <= scheduler.places

    for seed in range(20):
        asyncio.run(run(seed))


def test_questions_are_opened_while_the_queue_is_short_and_a_silent_one_counts_as_waiting() -> None:
    async def run() -> None:
        scheduler = full(4)
        gate = Gate(scheduler)
        for item in range(4):
            await gate.room()
            gate.opened(item)
        assert not has_room(gate), "four silent questions will soon be a queue"
        waits = [asyncio.create_task(scheduler.acquire(order(0, index=index))) for index in range(3)]
        await settle()
        assert not has_room(gate), "three wait and three are silent"
        gate.closed(1)  # ended without asking, as a question does whose answers are all right
        gate.closed(2)
        gate.closed(3)
        assert has_room(gate)
        assert gate.open == 1
        gate.opened(9)
        room = asyncio.create_task(gate.room())
        await settle()
        assert not room.done()
        scheduler.release()  # the next of the queue comes in
        await room
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert scheduler.waiting == 0
        assert has_room(gate)

    asyncio.run(run())


def test_open_questions_are_bounded_also_when_none_of_them_waits() -> None:
    async def run() -> None:
        scheduler = Scheduler(lambda: 4)
        gate, capped = Gate(scheduler), Gate(Scheduler(lambda: 4), most=3)
        for item in range(FEWEST):
            gate.opened(item)
            scheduler.on_ask(item)
        assert not has_room(gate)
        gate.closed(7)
        assert has_room(gate)
        for item in range(3):
            assert has_room(capped)
            capped.opened(item)
        assert not has_room(capped)

    asyncio.run(run())


def test_a_question_that_asks_a_second_engine_is_not_silent() -> None:
    async def run() -> None:
        first, second = Scheduler(lambda: 4), Scheduler(lambda: 99)
        gate = Gate(first, others=[second])
        for item in range(4):
            gate.opened(item)
        assert not has_room(gate)
        await second.acquire(order(2))
        assert has_room(gate)

    asyncio.run(run())


def test_where_nothing_is_open_there_is_room_whatever_waits() -> None:
    async def run() -> None:
        scheduler = full(1)
        gate = Gate(scheduler, most=1)
        strangers = [asyncio.create_task(scheduler.acquire(order(item))) for item in range(5)]
        await settle()
        await asyncio.wait_for(gate.room(), 5)
        for task in strangers:
            task.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)

    asyncio.run(run())
