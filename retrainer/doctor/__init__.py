"""`retrainer doctor`: one line about each thing that has to be right, and what to do where it is not."""
