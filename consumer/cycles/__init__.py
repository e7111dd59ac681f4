"""When a cycle is started, who may start it, and what becomes of it until it is settled."""
