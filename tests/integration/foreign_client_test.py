#!/usr/bin/python3
"""A client that has nothing of ours but the .proto files.

    foreign_client_test.py --tesserad PATH --proto DIRECTORY --wordnet DIRECTORY

Stubs are generated with protoc and gRPC's Python plugin into a temporary folder. Exits with 77, and
says why, where Debian's python3-grpcio, python3-numpy or protobuf-compiler-grpc are missing.
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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
    """What all tests share: the generated modules, the server, its channel, the data."""


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
    for name in ("collections", "points", "codebooks", "operations", "types"):
        setattr(Context, name, importlib.import_module(f"tessera.v1.{name}_pb2"))
    for name in ("collections", "points", "codebooks", "operations"):
        stubs = importlib.import_module(f"tessera.v1.{name}_pb2_grpc")
        setattr(Context, f"{name}_grpc", stubs)
    Context.health = importlib.import_module("grpc.health.v1.health_pb2")
    Context.health_grpc = importlib.import_module("grpc.health.v1.health_pb2_grpc")
    Context.status = importlib.import_module("google.rpc.status_pb2")
    Context.details = importlib.import_module("google.rpc.error_details_pb2")


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


class ForeignClientTest(unittest.TestCase):
    """One story, in the order of the names."""

    def setUp(self):
        self.collections = Context.collections_grpc.CollectionsStub(Context.channel)
        self.points = Context.points_grpc.PointsStub(Context.channel)
        self.codebooks = Context.codebooks_grpc.CodebooksStub(Context.channel)
        self.operations = Context.operations_grpc.OperationsStub(Context.channel)

    def search(self, query, limit=10, **params):
        request = Context.points.SearchRequest(
            collection_name="words", limit=limit, params=Context.points.SearchParams(**params))
        request.vectors.values.extend(query)
        return self.points.Search(request).results[0].hits

    def truth(self, query, limit):
        scores = Context.vectors @ query / numpy.linalg.norm(query)
        return list(numpy.argsort(-scores, kind="stable")[:limit])

    def test_1_health(self):
        stub = Context.health_grpc.HealthStub(Context.channel)
        answer = stub.Check(Context.health.HealthCheckRequest())
        self.assertEqual(answer.status, Context.health.HealthCheckResponse.SERVING)

    def test_2_create(self):
        created = self.collections.Create(Context.collections.CreateCollectionRequest(
            collection_name="words", dimension=128, metric=Context.types.COSINE,
            element_type=Context.types.FLOAT16))
        self.assertEqual(created.state, Context.collections.UNTRAINED)
        self.assertGreater(created.index.subquantizers, 0)

    def test_3_upsert_bytes_and_floats(self):
        half = ROWS // 2
        request = Context.points.UpsertRequest(collection_name="words")
        request.ids.num.extend(range(half))
        request.vectors.data = Context.halves[:half].tobytes()
        request.vectors.element_type = Context.types.FLOAT16
        request.payloads.extend(Context.payloads[:half])
        answer = self.points.Upsert(request)
        self.assertEqual(answer.points, half)

        def chunks():
            for begin in range(half, ROWS, 500):
                chunk = Context.points.UpsertRequest()
                if begin == half:
                    chunk.collection_name = "words"
                chunk.ids.num.extend(range(begin, begin + 500))
                chunk.vectors.values.extend(Context.vectors[begin:begin + 500].ravel())
                chunk.payloads.extend(Context.payloads[begin:begin + 500])
                yield chunk

        answers = list(self.points.UpsertStream(chunks()))
        self.assertEqual([a.points for a in answers], [500] * (half // 500))
        self.assertEqual([a.sequence for a in answers],
                         list(range(answer.sequence + 1, answer.sequence + 1 + len(answers))))
        count = self.points.Count(Context.points.CountRequest(collection_name="words"))
        self.assertEqual(count.points, ROWS)

    def test_4_search_exactly(self):
        for query in Context.queries[:20]:
            hits = self.search(query)
            self.assertEqual([hit.id.num for hit in hits], self.truth(query, 10))
            self.assertTrue(all(hit.score_is_exact for hit in hits))

    def test_5_train_and_watch(self):
        operation = self.codebooks.Train(Context.codebooks.TrainRequest(collection_name="words"))
        states = list(self.operations.Watch(
            Context.operations.WatchOperationRequest(operation_id=operation.operation_id)))
        self.assertEqual(states[-1].state, Context.operations.SUCCEEDED)
        self.assertTrue(all(state.done <= state.total for state in states))
        collection = self.collections.Get(
            Context.collections.GetCollectionRequest(collection_name="words"))
        self.assertEqual(collection.state, Context.collections.READY)
        self.assertEqual(collection.codebook_version, 1)

    def test_6_search_by_lists(self):
        found = sum(len({hit.id.num for hit in self.search(query)} & set(self.truth(query, 10)))
                    for query in Context.queries)
        self.assertGreaterEqual(found / (10 * len(Context.queries)), 0.95)
        request = Context.points.SearchRequest(collection_name="words", limit=3, with_vectors=True)
        request.ids.num.append(7)
        request.with_payload.enable = True
        for hit in self.points.Search(request).results[0].hits:
            self.assertNotEqual(hit.id.num, 7)
            self.assertEqual(hit.payload, Context.payloads[hit.id.num])
            self.assertEqual(hit.vector.data, Context.halves[hit.id.num].tobytes())

    def test_7_scroll(self):
        request = Context.points.ScrollRequest(collection_name="words", page_size=700)
        ids = []
        while True:
            page = self.points.Scroll(request)
            ids += [point.id.num for point in page.points]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        self.assertEqual(ids, list(range(ROWS)))

    def test_8_errors(self):
        search = Context.points.SearchRequest(collection_name="words", limit=0)
        search.vectors.values.extend([0.5] * 128)
        self.assertEqual(error_of(lambda: self.points.Search(search)),
                         (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", ["limit"]))
        search.limit = 1
        del search.vectors.values[:1]
        self.assertEqual(error_of(lambda: self.points.Search(search)),
                         (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", ["vectors.values"]))
        search.collection_name = "nonsense"
        self.assertEqual(error_of(lambda: self.points.Search(search)),
                         (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", []))
        train = Context.codebooks.TrainRequest(collection_name="words", nlist=ROWS + 1)
        self.assertEqual(error_of(lambda: self.codebooks.Train(train)),
                         (grpc.StatusCode.FAILED_PRECONDITION, "TOO_FEW_POINTS", []))

    def test_9_delete(self):
        request = Context.points.DeletePointsRequest(collection_name="words")
        request.ids.num.extend(range(100))
        self.assertEqual(self.points.Delete(request).points, 100)
        for query in Context.queries[:50]:
            self.assertTrue(all(hit.id.num >= 100 for hit in self.search(query, limit=100)))
        self.collections.Delete(
            Context.collections.DeleteCollectionRequest(collection_name="words"))
        listed = self.collections.List(Context.collections.ListCollectionsRequest())
        self.assertEqual(len(listed.collections), 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tesserad", required=True)
    parser.add_argument("--proto", required=True)
    parser.add_argument("--wordnet", required=True)
    arguments = parser.parse_args()
    Context.halves = numpy.load(os.path.join(arguments.wordnet, "vectors.npy"))[:ROWS]
    Context.vectors = Context.halves.astype(numpy.float32)
    Context.queries = numpy.load(os.path.join(arguments.wordnet, "queries.npy"))[:200]
    with open(os.path.join(arguments.wordnet, "payload.jsonl"), encoding="utf-8") as lines:
        Context.payloads = [line.rstrip("\n") for line in lines][:ROWS]
    with tempfile.TemporaryDirectory(prefix="tessera-test-") as folder:
        stubs = os.path.join(folder, "stubs")
        os.mkdir(stubs)
        generate(arguments.proto, stubs)
        server, address = start_server(arguments.tesserad, folder)
        try:
            with grpc.insecure_channel(address) as channel:
                Context.channel = channel
                suite = unittest.defaultTestLoader.loadTestsFromTestCase(ForeignClientTest)
                result = unittest.TextTestRunner(verbosity=2, failfast=True).run(suite)
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=30)
        finally:
            server.kill()
            server.wait()
    if code != 0:
        print(f"the server ended with {code}")
    return 0 if result.wasSuccessful() and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
