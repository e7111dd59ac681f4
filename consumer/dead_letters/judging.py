"""What a dead letter says to today's code and settings, which may have learned since."""

from __future__ import annotations

from consumer.decoding import decoder, named
from consumer.ledger.batch import DeadLetter
from consumer.ledger.letters import Judge
from consumer.settings import Settings
from schemas.events import BadEvent, Change, Ignored


def judge_by(settings: Settings) -> Judge:
    """The judge of these settings' source and feature group."""
    decode = decoder(settings.kafka.source, settings.feature_group)

    def judge(letter: DeadLetter) -> Change | Ignored | str:
        try:
            return decode(letter.key, letter.value, named(letter.headers))
        except BadEvent as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  (one letter must not keep the others from being replayed)
            return f"unexpected {type(error).__name__}: {error}"

    return judge
