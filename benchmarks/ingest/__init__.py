"""How fast events become pending changes, beside a bare poll loop and Quix Streams."""
