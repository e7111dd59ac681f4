"""The warm-up: requests that TensorFlow Serving runs before it serves a version, so that the first user does not wait.

They are `PredictionLog` messages in a file of TFRecords (https://www.tensorflow.org/tfx/serving/saved_model_warmup).
The messages belong to TensorFlow Serving, which is no dependency of ours, so they are written here, field by field:

    PredictionLog   6 predict_log       (tensorflow_serving/apis/prediction_log.proto)
    PredictLog      1 request
    PredictRequest  1 model_spec, 2 inputs, a map of tensors       (predict.proto)
    ModelSpec       1 name, 3 signature_name                       (model.proto)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from schemas.jobs.saved_model import SIGNATURES, WARM_UP_FILE
from stores.feature_store import Floats

BATCHES = (1, 8, 64)
"""How many rows a request has: one signature is warmed up for each."""


def write_warm_up(folder: Path, model_name: str, rows: Floats) -> int:
    """Write the warm-up of a SavedModel below `folder`; returns the number of requests.

    Args:
        folder: where the SavedModel lies.
        model_name: the name that it is served under.
        rows: raw rows (users, width) to ask about, at least one; they are used again where they are too few.
    """
    path = folder / WARM_UP_FILE
    path.parent.mkdir(exist_ok=True)
    requests = list(_requests(model_name, rows))
    with tf.io.TFRecordWriter(str(path)) as file:
        for request in requests:
            file.write(request)
    return len(requests)


def _requests(model_name: str, rows: Floats) -> Iterator[bytes]:
    for signature, (inputs, _) in SIGNATURES.items():
        for size in BATCHES:
            asked = np.resize(rows, (size * len(inputs), rows.shape[1])).astype(np.float32)
            parts = np.split(asked, len(inputs))
            yield prediction_log(model_name, signature, dict(zip(inputs, parts, strict=True)))


def prediction_log(model_name: str, signature: str, inputs: dict[str, Floats]) -> bytes:
    """One request as a serialized `PredictionLog`."""
    spec = _field(1, model_name.encode()) + _field(3, signature.encode())
    tensors = {name: tf.make_tensor_proto(rows).SerializeToString() for name, rows in inputs.items()}
    entries = (_field(2, _field(1, name.encode()) + _field(2, tensor)) for name, tensor in tensors.items())
    return _field(6, _field(1, _field(1, spec) + b"".join(entries)))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes, with its length before it (https://protobuf.dev/programming-guides/encoding)."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
