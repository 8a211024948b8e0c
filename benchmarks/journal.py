"""How fast the journal records, and how long it holds up the event loop: `python benchmarks/journal.py [--records N]`.

Every record is acknowledged only when it is durable (WAL, full sync). `stall` is how much later than planned a 1 ms ticker on
the same event loop ran; the row `idle` is what the machine does to the ticker on its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from openr_data.store.journal import Journal
from openr_data.types import Completion


@dataclass(frozen=True)
class Measured:
    name: str
    rate: float
    stalls: list[float]

    def line(self) -> str:
        late = sorted(self.stalls) or [0.0]
        at = [late[min(len(late) - 1, int(len(late) * share))] * 1000 for share in (0.5, 0.99)]
        rate = f"{self.rate:12,.0f}" if self.rate else f"{'-':>12}"
        return f"{self.name:34} {rate} {at[0]:10.2f} {at[1]:10.2f} {late[-1] * 1000:10.2f}"


async def tick(stalls: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        stalls.append(time.perf_counter() - start - 0.001)


async def measure(name: str, workers: int, records: int, size: int, folder: Path) -> Measured:
    journal = Journal(folder / f"{name.replace(' ', '-').replace('/', '-')}.sqlite").open()
    texts = [os.urandom(size // 2).hex() for _ in range(64)]
    numbers = iter(range(records))

    async def work() -> None:
        for n in numbers:
            await journal.record(os.urandom(32), Completion(texts[n % 64], 100, "stop", n, n))

    stalls: list[float] = []
    ticker = asyncio.create_task(tick(stalls))
    start = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    seconds = time.perf_counter() - start
    ticker.cancel()
    await journal.close()
    return Measured(name, records / seconds, stalls)


async def idle(seconds: float) -> Measured:
    stalls: list[float] = []
    ticker = asyncio.create_task(tick(stalls))
    await asyncio.sleep(seconds)
    ticker.cancel()
    return Measured("idle", 0, stalls)


async def main(records: int, folder: Path) -> None:
    print(f"{'case':34} {'records/s':>12} {'stall p50':>10} {'p99':>10} {'max ms':>10}")
    print((await idle(2)).line())
    for workers in (1, 32, 256, 2048):
        count = records if workers > 1 else min(records, 2000)
        print((await measure(f"{workers} at once, 1 KB", workers, count, 1000, folder)).line(), flush=True)
    print((await measure("256 at once, 20 KB", 256, max(256, records // 10), 20_000, folder)).line())
    print(f"peak resident memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        asyncio.run(main(options.records, Path(scratch)))
