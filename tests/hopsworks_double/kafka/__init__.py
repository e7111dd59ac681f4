"""Kafka as the cluster uses it: topics and schemas, the ingestion service, notifications."""
