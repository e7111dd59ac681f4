"""The messages, as people read them. The same alert at the same time gives the same id on every instance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from consumer.ledger.outbox import Waiting
from consumer.ledger.watching.alerts import OnRecord
from consumer.notifications.conditions import Condition, in_brief, span
from schemas.model_events import ModelEventType
from schemas.watching.notifications import AlertName, News, Notification, Phase


class Wording:
    """Words of one instance.

    Args:
        instance: its name.
        ledger_id: of its ledger.
        link: the page of the service now; None where there is none.
    """

    def __init__(self, instance: str, ledger_id: str, link: Callable[[], str | None]) -> None:
        self._instance = instance
        self._ledger_id = ledger_id
        self._link = link

    def begins(self, name: AlertName, condition: Condition, since: float, now: float) -> Notification:
        """An alert begins."""
        return self._of_alert(name, Phase.BEGINS, condition, since, now, f"{since:.3f}")

    def lasts(self, name: AlertName, condition: Condition, seen: OnRecord, now: float) -> Notification:
        """An alert lasts; `seen` is its record."""
        subject = f"Still: {_small(condition.subject)}, for {span(now - seen.since)} now"
        lasting = Condition(subject, condition.details, condition.way_out)
        return self._of_alert(name, Phase.LASTS, lasting, seen.since, now, f"{seen.since:.3f}-{now:.3f}")

    def over(self, name: AlertName, seen: OnRecord, now: float) -> Notification:
        """An alert is over; `seen` is its record."""
        condition = Condition(f"Over, after {span(now - seen.since)}: {_small(seen.summary)}")
        return self._of_alert(name, Phase.OVER, condition, seen.since, now, f"{seen.since:.3f}-over")

    def promotion(self, events: Sequence[Waiting], now: float) -> Notification:
        """Versions became champion, the last one last; refusals before that are counted."""
        moved = [event for event in events if event.type is not ModelEventType.REFUSED]
        last, refused = moved[-1], len(events) - len(moved)
        facts = last.facts
        back = last.type is ModelEventType.ROLLED_BACK
        by = f" by order of {facts.by}" if facts.by else ""
        lines = [
            f"Why: {in_brief(facts.reason)}",
            "" if facts.previous is None else f"Before it: version {facts.previous}.",
            _gathered(len(moved) - 1, "promotion", "before it"),
            _gathered(refused, "refused challenger", "before it"),
        ]
        subject = f"Version {facts.version} is champion{' again, after a rollback' if back else ''}{by}"
        return self._news(News.PROMOTION, events[-1].event_id, subject, lines, None, now)

    def refusal(self, events: Sequence[Waiting], now: float) -> Notification:
        """Challengers were refused, the last one last."""
        last = events[-1].facts
        how = last.outcome.value if last.outcome else "refused"
        champion = "there is none yet" if last.champion is None else f"version {last.champion} stays champion"
        lines = [f"Why: {in_brief(last.reason)}", _gathered(len(events) - 1, "refusal", "since the last message")]
        subject = f"No new version: cycle {last.cycle_id} was {how}; {champion}"
        way_out = f"`retrainer show {last.cycle_id}` has the figures; nothing has to be done where they are right"
        return self._news(News.REFUSAL, events[-1].event_id, subject, lines, way_out, now)

    def test(self, name: str, now: float) -> Notification:
        """A message by which somebody tries the channels; `name` tells it from others."""
        subject = "A test: messages of Retrainer arrive here"
        return self._message(name, "test", Phase.TEST, subject, "Nothing has happened.", None, now, None)

    def _of_alert(
        self, name: AlertName, phase: Phase, said: Condition, since: float, now: float, tag: str
    ) -> Notification:
        return self._message(
            f"{self._ledger_id}-{name.value}-{tag.replace('.', '_')}",
            name.value,
            phase,
            said.subject,
            said.details,
            said.way_out,
            now,
            since,
        )

    def _news(
        self, kind: News, event_id: str, subject: str, lines: Sequence[str], way_out: str | None, now: float
    ) -> Notification:
        details = "\n".join(line for line in lines if line)
        return self._message(f"{event_id}-told", kind.value, Phase.HAPPENED, subject, details, way_out, now, None)

    def _message(
        self,
        message_id: str,
        kind: str,
        phase: Phase,
        subject: str,
        details: str,
        way_out: str | None,
        now: float,
        since: float | None,
    ) -> Notification:
        return Notification(
            id=message_id,
            kind=kind,
            phase=phase,
            subject=subject,
            details=details,
            way_out=way_out,
            link=self._link(),
            instance=self._instance,
            ledger_id=self._ledger_id,
            at=datetime.fromtimestamp(now, UTC),
            since=None if since is None else datetime.fromtimestamp(since, UTC),
        )


def with_more(message: Notification, more: int) -> Notification:
    """The message, with a word of those that have to wait."""
    if not more:
        return message
    waits = f"And {more} more: so many messages an hour are enough, they follow later. `retrainer status` has all now."
    return message.model_copy(update={"details": f"{message.details}\n{waits}".lstrip()})


def _gathered(count: int, what: str, when: str) -> str:
    return "" if not count else f"And {count} more {what}{'' if count == 1 else 's'} {when}."


def _small(sentence: str) -> str:
    """A sentence that goes on in the middle of another one."""
    return f"{sentence[:1].lower()}{sentence[1:]}"
