"""Runs a SavedModel with TensorFlow alone, in a process of its own: neither Keras nor a module of ours is loaded.

python run_elsewhere.py SAVED_MODEL ROWS.npz ANSWERS.npz
"""

import sys
import time

import numpy as np
import tensorflow as tf

served = tf.saved_model.load(sys.argv[1])
rows = np.load(sys.argv[2])
query, candidate = tf.constant(rows["query"]), tf.constant(rows["candidate"])
asked = {
    "serving_default": {"query": query, "candidate": candidate},
    "query": {"features": query},
    "candidate": {"features": candidate},
}
answers = {}
for signature, inputs in asked.items():
    began = time.perf_counter()
    (named,) = served.signatures[signature](**inputs).items()
    first = time.perf_counter() - began
    began = time.perf_counter()
    served.signatures[signature](**inputs)
    print(f"{signature}: first {1e3 * first:.1f} ms, then {1e3 * (time.perf_counter() - began):.1f} ms")
    answers[f"{signature}/{named[0]}"] = named[1].numpy()
np.savez(sys.argv[3], **answers)
