"""`retrainer setup-hopsworks`: makes what the service lacks in a cluster. A second run changes nothing."""
