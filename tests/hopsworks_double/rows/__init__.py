"""The rows of a cluster: tables of both stores, what they are filtered by, how Avro writes them. Speaks to nobody."""
