"""`retrainer notify`: whether people are told."""
