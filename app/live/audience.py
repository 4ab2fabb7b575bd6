"""Those who ask the same of the feed and see the same: one execution for each event, whose bytes they share."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from app.execution.execute import Answer
from app.http.reply import dump
from app.resolvers.feed import Change, Event, Mark, Watch
from app.resolvers.place import Place
from sql import Visibility

# News that members may still have to send; who is further behind reads it anew.
_MOST_NEWS = 256
_MOST_BYTES = 1_000_000

# Events that are executed at a time.
_AT_ONCE = 16

# The answers to events, in their order.
Execute = Callable[[Sequence[Event]], Awaitable[Sequence[Answer]]]


class News(NamedTuple):
    """An answer as it is sent, and how far who has it has been told: its cursor, and the place of its change."""

    place: Place
    cursor: str
    text: bytes


class Member(Protocol):
    def wake(self) -> None: ...


class Audience:
    """What changes after `since` tell its `members` is in its news, as long as these are not too many."""

    def __init__(self, watch: Watch, visibility: Visibility, execute: Execute, since: Place) -> None:
        self.watch = watch
        self.visibility = visibility
        self.since = since
        self.members: set[Member] = set()
        self._execute = execute
        self._news: deque[News] = deque()
        self._bytes = 0
        self._unread: set[Member] = set()  # those who have not had all the news

    def after(self, place: Place, member: Member) -> Sequence[News]:
        """The news after a place that is not before `since`. What all members have had is gone."""
        news = [each for each in self._news if each.place > place]
        if not news:
            self._has_read(member)
        return news

    def leave(self, member: Member) -> None:
        self.members.discard(member)
        self._has_read(member)

    def _has_read(self, member: Member) -> None:
        self._unread.discard(member)
        if self._news and not self._unread:
            self.since = self._news[-1].place
            self._news.clear()
            self._bytes = 0

    async def told(self, changes: Iterable[Change], mark: Mark) -> tuple[list[News], Place]:
        """What some of the changes tell who has been told up to `mark`, and the place of the last of them.

        Raises `ServiceUnavailable`.
        """
        events: list[tuple[Place, Event]] = []
        place = mark.place
        for index, change in enumerate(changes):
            place = change.place
            if change.row["transaction_id"] in mark.held:
                continue
            of_change = self.watch.events(change, self.visibility, mark.held)
            events += [(place, event) for event in (of_change if index else of_change[mark.told :])]
            if len(events) >= _AT_ONCE:
                break
        news: list[News] = []
        for start in range(0, len(events), _AT_ONCE):
            some = events[start : start + _AT_ONCE]
            answers = await self._execute([event for _, event in some])
            news += [
                News(at, event["cursor"], dump(answer.body)) for (at, event), answer in zip(some, answers, strict=True)
            ]
        return news, place

    async def up_to_date(self, place: Place) -> News:
        """That all of the past was told, up to a place. Raises `ServiceUnavailable`."""
        event = self.watch.up_to_date(place)
        [answer] = await self._execute([event])
        return News(place, event["cursor"], dump(answer.body))

    async def tell(self, changes: Sequence[Change]) -> None:
        """Adds what the changes tell to the news, and wakes the members. Raises `ServiceUnavailable`."""
        waiting = deque(changes)
        while waiting:
            news, place = await self.told(waiting, Mark(self.since))
            while waiting and waiting[0].place <= place:
                waiting.popleft()
            self._news += news
            self._bytes += sum(len(each.text) for each in news)
            while len(self._news) > _MOST_NEWS or self._bytes > _MOST_BYTES:
                oldest = self._news.popleft()
                self._bytes -= len(oldest.text)
                self.since = oldest.place
            if news:
                self._wake()

    def begin_anew(self, since: Place) -> None:
        """There is no news any more; members who need some read it for themselves."""
        self._news.clear()
        self._bytes = 0
        self.since = since
        self._wake()

    def _wake(self) -> None:
        self._unread |= self.members
        for member in self.members:
            member.wake()
