"""What a dead letter says to today's code and settings, which may have learned since."""

from __future__ import annotations

from consumer.decoding import decoders, named
from consumer.ledger.batch import DeadLetter
from consumer.ledger.letters import Judge, Told
from consumer.settings import Settings
from schemas.events import Ignored
from schemas.keys import BadEvent


def judge_by(settings: Settings) -> Judge:
    """The judge of these settings' source and groups. What came from a topic that is read no more is about users."""
    of_topic = decoders(settings)

    def judge(letter: DeadLetter) -> Told | Ignored | str:
        decode = of_topic.get(letter.position.topic, of_topic[settings.kafka.topic])
        try:
            return decode(letter.key, letter.value, named(letter.headers))
        except BadEvent as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  (one letter must not keep the others from being replayed)
            return f"unexpected {type(error).__name__}: {error}"

    return judge
