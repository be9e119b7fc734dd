"""One thread answers. Who waits while it is busy is answered together with the others, in the next batch."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from headstart.serve.limits import RefusedError

BATCH = 32  # examples that are answered at once, unless one request has more
SHARE, LONGEST = 0.1, 0.05  # of a batch's seconds, and seconds, that the next waits for those whom it has answered
Asked = TypeVar("Asked")
Told = TypeVar("Told")


@dataclass(eq=False)
class Job(Generic[Asked, Told]):
    """Examples of one request.

    Attributes:
        given: the examples.
        done: becomes their answers.
        begun: whether the thread has them.
    """

    given: Sequence[Asked]
    done: "asyncio.Future[list[Told]]"
    begun: bool = False

    async def leave(self) -> None:
        """Nobody wants the answers: forget what has not begun, wait for what has: its files may go then."""
        if not self.begun:
            self.done.cancel()
        while not self.done.done():
            await asyncio.wait([self.done])


@dataclass
class Queue(Generic[Asked, Told]):
    """Examples that wait for the thread.

    Attributes:
        answer: answers in the order of what is asked; called in one thread only.
        most: examples that may wait.
    """

    answer: Callable[[Sequence[Asked]], list[Told]]
    most: int
    _jobs: deque[Job[Asked, Told]] = field(default_factory=deque)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "answers"))

    def put(self, given: Sequence[Asked]) -> Job[Asked, Told]:
        """Wait in line.

        Raises:
            RefusedError: the line is full.
        """
        if self.waiting + len(given) > self.most:
            raise RefusedError(503, "an empty place in the line", f"{self.waiting} before you", "Ask again.", retry=1)
        job = Job[Asked, Told](given, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._some.set()
        return job

    @property
    def waiting(self) -> int:
        """Examples whose turn has not come."""
        return sum(len(job.given) for job in self._jobs if not job.done.cancelled())

    async def work(self) -> None:
        """Answer until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            jobs = self._next()
            if not jobs:
                self._some.clear()
                continue
            asked, started = [one for job in jobs for one in job.given], loop.time()
            try:
                told = await loop.run_in_executor(self._pool, self.answer, asked)
            except Exception as error:  # noqa: BLE001 - a bug in one answer must not end the others'
                for job in jobs:
                    _settle(job, error)
                continue
            rest = iter(told)
            for job in jobs:
                _settle(job, [next(rest) for _ in job.given])
            if len(jobs) > 1:  # else clients that ask again at once would fall into two halves that wait for each other
                await asyncio.sleep(min(SHARE * (loop.time() - started), LONGEST))

    def _next(self) -> list[Job[Asked, Told]]:
        """Jobs of the next batch, first come first served."""
        found: list[Job[Asked, Told]] = []
        size = 0
        while self._jobs and (not found or size + len(self._jobs[0].given) <= BATCH):
            job = self._jobs.popleft()
            if not job.done.cancelled():
                job.begun = True
                size += len(job.given)
                found.append(job)
        return found

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _settle(job: Job[Asked, Told], outcome: list[Told] | Exception) -> None:
    if job.done.done():
        return
    if isinstance(outcome, Exception):
        job.done.set_exception(outcome)
    else:
        job.done.set_result(outcome)
