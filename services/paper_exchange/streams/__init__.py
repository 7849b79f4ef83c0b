"""WebSocket streams: connections and subscriptions, market streams, the user data stream."""
