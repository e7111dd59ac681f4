"""The demo on a cluster (`make demo HOPSWORKS=double`): `python -m tests.hopsworks_double.demo [LOG] [--waves N]`."""
