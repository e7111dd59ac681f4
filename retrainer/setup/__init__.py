"""`retrainer setup-hopsworks`: makes what the service needs of a cluster and lacks. Doing it twice does nothing."""
