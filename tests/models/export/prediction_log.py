"""The messages of TensorFlow Serving, declared as in its own files, so that a test can read what we write by hand.

From tensorflow_serving/apis/{prediction_log,predict,model}.proto; fields that we do not write are left out.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from tensorflow.core.framework import tensor_pb2

_TEXT, _MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
_ONE, _MANY = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL, descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
_PACKAGE = "tensorflow.serving"


def _class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="as_served.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(tensor_pb2.DESCRIPTOR.name)
    spec = file.message_type.add(name="ModelSpec")
    spec.field.add(name="name", number=1, type=_TEXT, label=_ONE)
    spec.field.add(name="signature_name", number=3, type=_TEXT, label=_ONE)
    request = file.message_type.add(name="PredictRequest")
    entry = request.nested_type.add(name="InputsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_TEXT, label=_ONE)
    _refer(entry, "value", 2, "tensorflow.TensorProto")
    _refer(request, "model_spec", 1, f"{_PACKAGE}.ModelSpec")
    _refer(request, "inputs", 2, f"{_PACKAGE}.PredictRequest.InputsEntry", _MANY)
    _refer(file.message_type.add(name="PredictLog"), "request", 1, f"{_PACKAGE}.PredictRequest")
    _refer(file.message_type.add(name="PredictionLog"), "predict_log", 6, f"{_PACKAGE}.PredictLog")
    pool = descriptor_pool.DescriptorPool()
    _add(pool, tensor_pb2.DESCRIPTOR)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PredictionLog"))


def _refer(message: Any, name: str, number: int, to: str, label: Any = _ONE) -> None:
    message.field.add(name=name, number=number, type=_MESSAGE, type_name=f".{to}", label=label)


def _add(pool: Any, file: Any) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)


PredictionLog = _class()
