"""Reading the feature store: the protocol, its adapters, and the check that every row passes before it is used."""
