"""Notifications: whether their channels could be reached and understood. Nothing is sent."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit
from urllib.request import getproxies

from consumer.configuration.kafka import is_loopback
from consumer.configuration.notifications import NotificationSettings, urls_of
from consumer.errors import LedgerError
from consumer.ledger.looking import look
from consumer.notifications.channels import channels_of
from consumer.notifications.chat import ask_apprise
from consumer.notifications.now import channels_in_trouble, notifications_now
from consumer.sending.ports import NotSent
from consumer.sending.posting import shown
from retrainer.doctor.checks import Check, Finding, failed, ok, warning
from retrainer.doctor.context import CheckContext

NOTIFICATIONS = "notifications"

_WITHIN = 5.0
_TRY = "`retrainer notify --test` sends a message"


def notification_checks(context: CheckContext) -> list[Check]:
    """The check, where a channel or a heartbeat is set."""
    told = context.settings.notifications
    if not told.wanted and told.heartbeat is None:
        return []
    return [Check(NOTIFICATIONS, lambda: _notifications(context))]


def _notifications(context: CheckContext) -> Finding:
    settings = context.settings.notifications
    for url in _addresses(settings):
        if (problem := _unreachable(url, settings)) is not None:
            return failed(f"{shown(url)}: {problem}", "see the address, and whether a firewall is between")
    if urls := urls_of(settings.chat):
        try:
            bad = [f"{chat.shown} {chat.error}" for chat in ask_apprise({"urls": list(urls)}) if chat.error]
        except NotSent as error:
            return failed(str(error), "see whether the extra `chat` is installed: pip install 'retrainer[chat]'")
        if bad:
            return failed("; ".join(bad), "see RETRAINER_NOTIFICATIONS__CHAT, and the pages of apprise for its form")
    try:
        found = look(context.settings.ledger.url, lambda ledger: notifications_now(context.settings, ledger))
    except LedgerError:
        found = None
    if found is not None and (lines := channels_in_trouble(found)):
        return warning("; ".join(lines), _TRY)
    names = [channel.value for channel in channels_of(settings)] + (["heartbeat"] if settings.heartbeat else [])
    return ok(f"by {' and '.join(names)}; {_TRY}")


def _addresses(settings: NotificationSettings) -> list[str]:
    return [one.get_secret_value() for one in (settings.webhook, settings.heartbeat) if one is not None]


def _unreachable(url: str, settings: NotificationSettings) -> str | None:
    """Why the server of a URL cannot be reached; None where it can. Behind a proxy only the proxy could tell."""
    parts = urlsplit(url)
    if not is_loopback(url) and getproxies().keys() & {parts.scheme, "all"}:
        return None
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), _WITHIN) as opened:
            if parts.scheme == "https":
                context = ssl.create_default_context(cafile=settings.webhook_cafile)
                context.wrap_socket(opened, server_hostname=parts.hostname).close()
    except OSError as error:
        return str(error) or type(error).__name__
    return None
