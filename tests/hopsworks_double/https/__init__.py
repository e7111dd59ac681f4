"""An HTTPS server that can fail on request, and which handler answers which request."""
