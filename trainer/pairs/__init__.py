"""The similar-pair graph: exact mining, incremental maintenance, and negatives checked to be dissimilar."""
