"""Times as people write them: how long, when every day, when by a crontab line."""
