"""The control plane's REST API: login, feature groups, queries, views, records of ingestions."""
