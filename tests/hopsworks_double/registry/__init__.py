"""The model registry and the project's datasets, in which the files of versions lie."""
