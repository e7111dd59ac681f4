"""The online store: by key over REST, and by SQL over MySQL's protocol."""
