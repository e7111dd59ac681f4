"""`make soak`: hours of the service on a real Apache Kafka, and whether anything grows that should not."""
