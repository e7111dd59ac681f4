"""Messages of the Kafka protocol that kafka-python lacks, by the names under which it looks for them.

They are those of Apache Kafka (Apache License 2.0), as far as they are needed.
"""
