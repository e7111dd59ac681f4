"""What `make bench` runs: our figures beside those of what a user has today, measured in one run on one machine."""

import trainer  # noqa: F401  (keeps the Keras settings of this machine's user out)
