"""`python -m consumer.cli` is `retrainer`."""

from consumer.cli import main

main()
