"""What all parts of the story share: stubs, the server, the channel, the data."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
import unittest

SKIPPED = 77
ROWS = 3000

try:
    import google.protobuf  # noqa: F401 (so that the package google exists)
    import grpc
    import numpy
except ImportError as missing:
    print(f"skipped: {missing}; the packages are python3-grpcio and python3-numpy")
    sys.exit(SKIPPED)


class Context:
    """The generated modules, the server's channel, the data."""


def generate(proto, out):
    plugin = shutil.which("grpc_python_plugin")
    protoc = shutil.which("protoc")
    if plugin is None or protoc is None:
        print("skipped: no protoc or grpc_python_plugin; the package is protobuf-compiler-grpc")
        sys.exit(SKIPPED)
    files = [os.path.relpath(os.path.join(folder, name), proto)
             for folder, _, names in os.walk(proto) for name in names if name.endswith(".proto")]
    subprocess.run([protoc, f"--proto_path={proto}", f"--python_out={out}",
                    f"--grpc_python_out={out}", f"--plugin=protoc-gen-grpc_python={plugin}"]
                   + sorted(files), check=True)
    # Both packages exist already; the generated parts of them are found here.
    sys.path.insert(0, out)
    google.__path__.append(os.path.join(out, "google"))
    grpc.__path__.append(os.path.join(out, "grpc"))
    package = os.path.join(proto, "tessera", "v1")
    Context.rpcs = set()
    for name in sorted(name[:-len(".proto")] for name in os.listdir(package)):
        module = importlib.import_module(f"tessera.v1.{name}_pb2")
        setattr(Context, name, module)
        setattr(Context, f"{name}_grpc", importlib.import_module(f"tessera.v1.{name}_pb2_grpc"))
        add_rpcs(module)
    for name, path in (("health", "health.v1.health"),
                       ("reflection", "reflection.v1alpha.reflection")):
        setattr(Context, name, importlib.import_module(f"grpc.{path}_pb2"))
        setattr(Context, f"{name}_grpc", importlib.import_module(f"grpc.{path}_pb2_grpc"))
        add_rpcs(getattr(Context, name))
    Context.status = importlib.import_module("google.rpc.status_pb2")
    Context.details = importlib.import_module("google.rpc.error_details_pb2")


def add_rpcs(module):
    for service in module.DESCRIPTOR.services_by_name.values():
        Context.rpcs |= {f"/{service.full_name}/{rpc.name}" for rpc in service.methods}


def start_server(tesserad, folder):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TESSERA_")}
    log = os.path.join(folder, "log")
    with open(log, "w") as stderr:
        server = subprocess.Popen(
            [tesserad, f"--data_dir={folder}/data", "--listen=127.0.0.1:0", "--log_format=json"],
            stdin=subprocess.DEVNULL, stderr=stderr, env=environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with open(log) as lines:
            events = [json.loads(line) for line in lines if line.endswith("}\n")]
        if any(event["message"] == "ready" for event in events):
            port = next(e["port"] for e in events if e["message"] == "listening")
            return server, f"127.0.0.1:{port}"
        time.sleep(0.01)
    server.kill()
    with open(log) as lines:
        sys.exit(f"the server did not start:\n{lines.read()}")


def error_of(call):
    """The code, the reason and the fields that a call fails with."""
    try:
        call()
    except grpc.RpcError as error:
        metadata = dict(error.trailing_metadata())
        status = Context.status.Status.FromString(metadata["grpc-status-details-bin"])
        reason, fields = "", []
        for detail in status.details:
            info, bad_request = Context.details.ErrorInfo(), Context.details.BadRequest()
            if detail.Unpack(info):
                reason = info.reason
            if detail.Unpack(bad_request):
                fields += [violation.field for violation in bad_request.field_violations]
        return error.code(), reason, fields
    raise AssertionError("the call succeeded")


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
               grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Which calls have been made, and which fields of their requests were set."""

    def __init__(self):
        self.called = set()
        self.fields = set()

    def _record(self, message):
        for field, value in message.ListFields():
            self.fields.add(field.full_name)
            if field.type == field.TYPE_MESSAGE:
                for part in value if field.label == field.LABEL_REPEATED else [value]:
                    self._record(part)

    def _call(self, continuation, details, request):
        self.called.add(details.method)
        self._record(request)
        return continuation(details, request)

    def _call_with_stream(self, continuation, details, requests):
        def recorded():
            for request in requests:
                self._record(request)
                yield request

        self.called.add(details.method)
        return continuation(details, recorded())

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call_with_stream


def request_fields():
    """The full names of all fields of our requests, and of the messages in them."""
    fields, known = set(), set()

    def add(descriptor):
        if descriptor.full_name in known or not descriptor.full_name.startswith("tessera."):
            return
        known.add(descriptor.full_name)
        for field in descriptor.fields:
            fields.add(field.full_name)
            if field.message_type is not None:
                add(field.message_type)

    for name in ("collections", "points", "codebooks", "snapshots", "operations"):
        for service in getattr(Context, name).DESCRIPTOR.services_by_name.values():
            for rpc in service.methods:
                add(rpc.input_type)
    return fields


class Case(unittest.TestCase):
    """The stubs, and what several parts do with them."""

    def setUp(self):
        self.collections = Context.collections_grpc.CollectionsStub(Context.channel)
        self.points = Context.points_grpc.PointsStub(Context.channel)
        self.codebooks = Context.codebooks_grpc.CodebooksStub(Context.channel)
        self.operations = Context.operations_grpc.OperationsStub(Context.channel)
        self.snapshots = Context.snapshots_grpc.SnapshotsStub(Context.channel)

    def succeeded(self, operation):
        """The operation once it has ended, and well."""
        states = list(self.operations.Watch(
            Context.operations.WatchOperationRequest(operation_id=operation.operation_id)))
        self.assertEqual(states[-1].state, Context.operations.SUCCEEDED, states[-1].error)
        return states[-1]

    def search(self, query, limit=10, **params):
        request = Context.points.SearchRequest(
            collection_name="words", limit=limit, params=Context.points.SearchParams(**params))
        request.vectors.values.extend(query)
        return self.points.Search(request).results[0].hits

    def truth(self, query, limit):
        scores = Context.vectors @ query / numpy.linalg.norm(query)
        return list(numpy.argsort(-scores, kind="stable")[:limit])

    def filter(self, **condition):
        filters = Context.filters
        return filters.Filter(must=[filters.Condition(**condition)])
