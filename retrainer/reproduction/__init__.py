"""`retrainer reproduce`: gathers what is recorded of a version, and has a process of the trainer train it again."""
