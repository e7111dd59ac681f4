"""How a test speaks with a running double: settings, sessions, registries, a pipeline that writes rows."""
