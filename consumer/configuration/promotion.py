"""Settings of promotions."""

from __future__ import annotations

from consumer.configuration.section import Seconds, Section


class PromotionSettings(Section):
    """What becomes champion by itself."""

    hold_down: Seconds = 86_400.0
    """After a rollback no version that has learned what was rolled back becomes champion by itself for so long; 0: none
    is held down."""
