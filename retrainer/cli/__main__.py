"""`python -m retrainer.cli` is `retrainer`."""

from retrainer.cli import main

main()
