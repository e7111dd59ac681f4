import trainer  # noqa: F401  (keeps the Keras settings of this machine's user out)
