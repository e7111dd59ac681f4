"""The champion is brought to where it is served: a folder for TensorFlow Serving, a deployment of a cluster."""
