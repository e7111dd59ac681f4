"""The demo on a cluster: `python -m tests.hopsworks_double.demo [LOG]`, which is `make demo HOPSWORKS=double`."""
