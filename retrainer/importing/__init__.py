"""A file of users' vectors, or of labels, becomes rows of the local store, and the changes are announced.

sources.py    the file in blocks: Parquet, CSV, NumPy, JSON lines
layout.py     which of its columns are the feature group's; what the settings would have to be
rows.py       blocks become users' rows, or are refused with a reason
edges.py      blocks become labels
changes.py    what differs from the store is committed
"""
