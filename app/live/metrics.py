"""What those who run the service learn of those who listen."""

from functools import partial

from app.live.hub import Hub
from app.live.session import TRANSPORTS, Sessions
from app.live.websocket import CODES
from app.telemetry import Telemetry


def watch(telemetry: Telemetry, hub: Hub, sessions: Sessions) -> None:
    """Has the metrics tell what the hub and the sessions count."""
    telemetry.follow_gauges(
        "waybill_streams",
        "WebSockets and streams that are open.",
        "transport",
        {transport: partial(sessions.count_of, transport) for transport in TRANSPORTS},
    )
    telemetry.follow_gauge("waybill_subscriptions", "Subscriptions that go on.", lambda: hub.members)
    telemetry.follow_count("waybill_events", "Events that were sent to subscribers.", lambda: hub.sent)
    telemetry.follow_gauge("waybill_feed_position", "Up to where subscribers are told.", lambda: hub.reached.position)
    telemetry.follow_gauge(
        "waybill_feed_lag_seconds", "From the beginning of a change to its telling, of the last one.", lambda: hub.lag
    )
    telemetry.follow_counts(
        "waybill_socket_closes",
        "WebSockets that ended, by code.",
        "code",
        {code: partial(sessions.closes.__getitem__, code) for code in CODES},
    )
