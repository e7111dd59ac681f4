"""`retrainer doctor`: one line for each thing that has to be right, and what to do where it is wrong."""
