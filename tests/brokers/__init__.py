"""Real brokers for the tests: Apache Kafka from Maven Central's jars, and Tansu."""
