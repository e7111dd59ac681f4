"""Whoever watches a service, in the soak and in `make bench`: a page open in a headless browser, and a scraper."""
