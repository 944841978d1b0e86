#!/usr/bin/python3
"""A client that has nothing of ours but the .proto files.

    foreign_client_test.py --tesserad PATH --proto DIRECTORY --wordnet DIRECTORY

Stubs are generated with protoc and gRPC's Python plugin into a temporary folder. Exits with 77, and
says why, where Debian's python3-grpcio, python3-numpy or protobuf-compiler-grpc are missing.
"""

import argparse
import collections
import importlib
import json
import os
import random
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

import foreign_filters


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
    package = os.path.join(proto, "tessera", "v1")
    Context.rpcs = set()
    for name in sorted(name[:-len(".proto")] for name in os.listdir(package)):
        module = importlib.import_module(f"tessera.v1.{name}_pb2")
        setattr(Context, name, module)
        setattr(Context, f"{name}_grpc", importlib.import_module(f"tessera.v1.{name}_pb2_grpc"))
        for service in module.DESCRIPTOR.services_by_name.values():
            Context.rpcs |= {f"/{service.full_name}/{rpc.name}" for rpc in service.methods}
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


class Recorder(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
               grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Which calls have been made."""

    def __init__(self):
        self.called = set()

    def _call(self, continuation, details, request):
        self.called.add(details.method)
        return continuation(details, request)

    intercept_unary_unary = intercept_unary_stream = _call
    intercept_stream_unary = intercept_stream_stream = _call


class ForeignClientTest(unittest.TestCase):
    """One story, in the order of the names."""

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

    def filter(self, **condition):
        filters = Context.filters
        return filters.Filter(must=[filters.Condition(**condition)])

    def expect_ids(self, condition, expected):
        """The filter counts, pages through and finds what the payloads say."""
        count = self.points.Count(
            Context.points.CountRequest(collection_name="words", filter=condition))
        self.assertEqual(count.points, len(expected))
        page = self.points.Scroll(Context.points.ScrollRequest(
            collection_name="words", filter=condition, page_size=ROWS))
        self.assertEqual([point.id.num for point in page.points], sorted(expected))
        for query in Context.queries[:5]:
            request = Context.points.SearchRequest(
                collection_name="words", limit=10, filter=condition)
            request.params.exact = True
            request.vectors.values.extend(query)
            answer = self.points.Search(request)
            truth = [i for i in self.truth(query, ROWS) if i in expected][:10]
            hits = answer.results[0].hits
            self.assertLessEqual({hit.id.num for hit in hits}, expected)
            # By their scores: some are so close that rounding decides on their order.
            scores = Context.vectors[truth] @ query / numpy.linalg.norm(query)
            numpy.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-4)
            self.assertTrue(answer.exhausted)
            self.assertAlmostEqual(answer.filter_selectivity, len(expected) / ROWS)

    def test_7a_filters(self):
        filters = Context.filters
        payloads = [json.loads(payload) for payload in Context.payloads]
        cases = [
            (self.filter(key="category", match=filters.Match(keyword="animal")),
             lambda p: p["category"] == "animal"),
            (self.filter(key="senses", range=filters.Range(gt=2, lte=5)),
             lambda p: 2 < p["senses"] <= 5),
            (self.filter(key="word", prefix="vi"), lambda p: p["word"].startswith("vi")),
            (self.filter(key="synonyms", values_count=filters.ValuesCount(gte=2)),
             lambda p: len(p["synonyms"]) >= 2),
            (filters.Filter(
                should=[filters.Condition(key="category", match=filters.Match(
                    keywords=filters.RepeatedStrings(strings=["food", "plant"]))),
                        filters.Condition(has_id=Context.types.PointIds(num=[1, 2, 9999]))],
                must_not=[filters.Condition(key="senses", match=filters.Match(integer=1))]),
             lambda p: (p["category"] in ("food", "plant") or p["id"] in (1, 2))
             and p["senses"] != 1)]
        expected = [{i for i, p in enumerate(payloads) if holds(p)} for _, holds in cases]
        for (condition, _), ids in zip(cases, expected):
            self.expect_ids(condition, ids)
        for key, kind in (("category", filters.KEYWORD), ("senses", filters.INTEGER)):
            operation = self.collections.CreatePayloadIndex(
                Context.collections.CreatePayloadIndexRequest(
                    collection_name="words", key=key, type=kind))
            states = list(self.operations.Watch(
                Context.operations.WatchOperationRequest(operation_id=operation.operation_id)))
            self.assertEqual(states[-1].state, Context.operations.SUCCEEDED)
        for (condition, _), ids in zip(cases, expected):
            self.expect_ids(condition, ids)
        collection = self.collections.Get(
            Context.collections.GetCollectionRequest(collection_name="words"))
        self.assertEqual([(i.key, i.ready) for i in collection.payload_indexes],
                         [("category", True), ("senses", True)])
        self.collections.DropPayloadIndex(Context.collections.DropPayloadIndexRequest(
            collection_name="words", key="senses"))

    def test_7a_random_filters(self):
        """Every condition means what its page says, by every type of index and without."""
        filters, points = Context.filters, Context.points
        chance = random.Random(5)
        self.collections.Create(Context.collections.CreateCollectionRequest(
            collection_name="things", dimension=2, metric=Context.types.L2))
        payloads = [foreign_filters.random_payload(chance) for _ in range(300)]
        request = points.UpsertRequest(collection_name="things")
        request.ids.num.extend(range(300))
        request.vectors.values.extend(chance.random() for _ in range(600))
        request.payloads.extend(json.dumps(payload) for payload in payloads)
        self.points.Upsert(request)
        conditions = [foreign_filters.random_filter(chance, filters, 2) for _ in range(400)]
        expected = [[i for i, payload in enumerate(payloads)
                     if foreign_filters.matches(condition, i, payload)]
                    for condition in conditions]
        self.assertGreater(sum(0 < len(ids) < 300 for ids in expected), 200)
        for kind in (None, filters.KEYWORD, filters.INTEGER, filters.FLOAT, filters.DATETIME,
                     filters.BOOL):
            for key in ("k", "i", "f", "d", "b", "o.p") if kind else ():
                self.succeeded(self.collections.CreatePayloadIndex(
                    Context.collections.CreatePayloadIndexRequest(
                        collection_name="things", key=key, type=kind)))
            for condition, ids in zip(conditions, expected):
                page = self.points.Scroll(points.ScrollRequest(
                    collection_name="things", filter=condition, page_size=300))
                self.assertEqual([point.id.num for point in page.points], ids, condition)
                count = self.points.Count(
                    points.CountRequest(collection_name="things", filter=condition))
                self.assertEqual(count.points, len(ids), f"index {kind}: {condition}")
            for key in ("k", "i", "f", "d", "b", "o.p") if kind else ():
                self.collections.DropPayloadIndex(Context.collections.DropPayloadIndexRequest(
                    collection_name="things", key=key))
        self.collections.Delete(
            Context.collections.DeleteCollectionRequest(collection_name="things"))

    def test_7b_bad_filters(self):
        filters = Context.filters
        for field, condition in (
                ("filter.must[0].range.gte",
                 self.filter(key="a", range=filters.Range(gte=float("nan")))),
                ("filter.must[0].key", self.filter(key="a..b", exists=True)),
                ("filter.must[0].datetime_range.lt",
                 self.filter(key="a", datetime_range=filters.DatetimeRange(lt="yesterday"))),
                ("filter.must[0]", self.filter(key="a")),
                ("filter.must[0].filter.must[0].match",
                 filters.Filter(must=[filters.Condition(
                     filter=self.filter(key="a", match=filters.Match()))])),
                # From a later version of the .proto files: it may have narrowed the filter.
                ("filter", filters.Filter.FromString(b"\x22\x02\x08\x01"))):
            request = Context.points.CountRequest(collection_name="words", filter=condition)
            self.assertEqual(error_of(lambda: self.points.Count(request)),
                             (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", [field]))

    def test_7c_facet_groups_recommend_batch(self):
        points = Context.points
        counts = collections.Counter(json.loads(p)["category"] for p in Context.payloads)
        facet = self.points.Facet(points.FacetRequest(collection_name="words", key="category"))
        self.assertTrue(facet.indexed)
        self.assertEqual({h.value.str: h.points for h in facet.hits}, dict(counts))

        search = points.SearchRequest(collection_name="words", limit=3)
        search.vectors.values.extend(Context.queries[0])
        search.explain = True
        answer = self.points.SearchGroups(points.SearchGroupsRequest(
            search=search, group_by="category", group_size=2))
        groups = answer.groups
        self.assertEqual(len(groups), 3)
        self.assertEqual(answer.explanation.lists_scanned, answer.lists_scanned)
        self.assertGreater(answer.lists_scanned, 0)
        best = [group.hits[0].score for group in groups]
        self.assertEqual(best, sorted(best, reverse=True))

        recommend = points.SearchRequest(collection_name="words", limit=5, explain=True)
        recommend.recommend.positive.num.extend([3, 8])
        recommend.recommend.negative.num.append(20)
        recommend.with_payload.include.append("word")
        batch = self.points.SearchBatch(points.SearchBatchRequest(searches=[search, recommend]))
        self.assertEqual([len(r.results[0].hits) for r in batch.responses], [3, 5])
        for hit in batch.responses[1].results[0].hits:
            self.assertNotIn(hit.id.num, (3, 8, 20))
            self.assertEqual(list(json.loads(hit.payload)), ["word"])
        self.assertGreater(batch.responses[1].explanation.lists_scanned, 0)

        page = points.SearchRequest(collection_name="words", limit=5, offset=5)
        page.vectors.values.extend(Context.queries[0])
        self.assertEqual([hit.id.num for hit in self.points.Search(page).results[0].hits],
                         [hit.id.num for hit in self.search(Context.queries[0])[5:]])

    def test_7d_edit_payloads(self):
        points = Context.points
        some = points.PointsSelector(ids=Context.types.PointIds(num=[1000, 1001, 99999]))
        answer = self.points.SetPayload(points.SetPayloadRequest(
            collection_name="words", points=some, payload='{"seen":true}'))
        self.assertEqual(answer.points, 2)
        seen = points.PointsSelector(filter=self.filter(
            key="seen", match=Context.filters.Match(boolean=True)))
        self.assertEqual(self.points.DeletePayload(points.DeletePayloadRequest(
            collection_name="words", points=seen, keys=["seen"])).points, 2)
        get = points.GetPointsRequest(collection_name="words")
        get.ids.num.append(1000)
        get.with_payload.enable = True
        self.assertEqual(json.loads(self.points.Get(get).points[0].payload),
                         json.loads(Context.payloads[1000]))
        self.points.OverwritePayload(points.SetPayloadRequest(
            collection_name="words", points=some, payload='{"only":1}'))
        self.assertEqual(self.points.Get(get).points[0].payload, '{"only":1}')
        self.points.ClearPayload(points.ClearPayloadRequest(collection_name="words", points=some))
        self.assertEqual(self.points.Get(get).points[0].payload, "")

        update = points.UpdateVectorsRequest(collection_name="words")
        update.ids.num.append(1000)
        update.vectors.values.extend(Context.queries[0])
        self.assertEqual(self.points.UpdateVectors(update).points, 1)
        self.assertEqual(self.search(Context.queries[0], limit=1)[0].id.num, 1000)

        new = points.UpsertRequest(collection_name="words", condition=points.INSERT_ONLY)
        new.ids.num.append(1000)
        new.vectors.values.extend(Context.vectors[1000])
        self.assertEqual(error_of(lambda: self.points.Upsert(new)),
                         (grpc.StatusCode.ALREADY_EXISTS, "POINT_EXISTS", []))
        new.condition = points.UPDATE_ONLY
        self.assertEqual(self.points.Upsert(new).points, 1)
        gone = self.points.DeleteByFilter(points.DeleteByFilterRequest(
            collection_name="words",
            filter=self.filter(has_id=Context.types.PointIds(num=[1000, 1001, 1002]))))
        self.assertEqual(gone.points, 3)

    def test_7d_repeated_requests(self):
        """Every write takes a durability and a request id, and is done once."""
        points = Context.points
        num = Context.types.PointIds(num=[5000])
        options = {"collection_name": "words", "durability": Context.types.ASYNC}
        by_id = points.PointsSelector(ids=num)
        by_filter = points.PointsSelector(filter=self.filter(has_id=num))
        update = points.UpdateVectorsRequest(ids=num, request_id="vectors", **options)
        update.vectors.values.extend(Context.queries[1])
        new = points.UpsertRequest(ids=num, request_id="new", **options)
        new.vectors.values.extend(Context.queries[0])
        calls = [
            (self.points.Upsert, new),
            (self.points.SetPayload, points.SetPayloadRequest(
                points=by_id, payload='{"a":1}', request_id="set", **options)),
            (self.points.OverwritePayload, points.SetPayloadRequest(
                points=by_filter, payload='{"b":[1]}', request_id="overwrite", **options)),
            (self.points.DeletePayload, points.DeletePayloadRequest(
                points=by_filter, keys=["b"], request_id="fields", **options)),
            (self.points.ClearPayload, points.ClearPayloadRequest(
                points=by_id, request_id="clear", **options)),
            (self.points.UpdateVectors, update),
            (self.points.DeleteByFilter, points.DeleteByFilterRequest(
                filter=by_filter.filter, request_id="delete", **options)),
        ]
        first = [call(request) for call, request in calls]
        self.assertEqual([answer.points for answer in first], [1] * len(calls))
        self.assertEqual([call(request) for call, request in calls], first)
        get = points.GetPointsRequest(collection_name="words", ids=num)
        self.assertEqual(len(self.points.Get(get).points), 0)
        calls[1][1].payload = '{"a":2}'
        with self.assertRaises(grpc.RpcError) as raised:
            self.points.SetPayload(calls[1][1])
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_7e_aliases(self):
        messages = Context.collections
        def update(*actions):
            self.collections.UpdateAliases(messages.UpdateAliasesRequest(
                actions=[messages.Alias(alias_name=a, collection_name=c) for a, c in actions]))
        def listed():
            request, found = messages.ListAliasesRequest(page_size=1), []
            while True:
                page = self.collections.ListAliases(request)
                found += [(a.alias_name, a.collection_name) for a in page.aliases]
                request.page_token = page.next_page_token
                if not request.page_token:
                    return found
        update(("live", "words"), ("old", "words"))
        self.assertEqual(listed(), [("live", "words"), ("old", "words")])
        count = self.points.Count(Context.points.CountRequest(collection_name="live"))
        self.assertEqual(count.points, ROWS - 3)
        self.assertEqual(error_of(lambda: update(("old", ""), ("live", "nonsense"))),
                         (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", []))
        self.assertEqual(error_of(lambda: update(("words", "words")))[1], "COLLECTION_EXISTS")
        self.assertEqual(len(listed()), 2)
        for field, request in (
                ("page_token", messages.ListAliasesRequest(page_token="nonsense")),
                ("page_size", messages.ListAliasesRequest(page_size=10001))):
            self.assertEqual(error_of(lambda: self.collections.ListAliases(request))[2], [field])
        update(("old", ""))
        self.assertEqual(listed(), [("live", "words")])

    def test_7f_search_stream(self):
        points = Context.points

        def searches():
            for tag, query in enumerate(Context.queries):
                request = points.SearchStreamRequest(tag=1000 + tag)
                if tag == 0:
                    request.search.collection_name = "words"
                request.search.limit = 0 if tag == 7 else 10
                request.search.vectors.values.extend(query)
                yield request

        answers = list(self.points.SearchStream(searches()))
        self.assertEqual([answer.tag for answer in answers],
                         list(range(1000, 1000 + len(Context.queries))))
        self.assertEqual([i for i, a in enumerate(answers) if a.HasField("error")], [7])
        self.assertEqual(answers[7].error.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
        for query, answer in list(zip(Context.queries, answers))[8:40]:
            self.assertEqual([hit.id.num for hit in answer.response.results[0].hits],
                             [hit.id.num for hit in self.search(query)])

    def test_7g_update(self):
        messages = Context.collections
        request = messages.UpdateCollectionRequest(
            collection_name="live", metadata='{"language":"en"}',
            index=messages.IndexSpec(default_nprobe=5))
        request.update_mask.paths.extend(["metadata", "index.default_nprobe"])
        updated = self.collections.Update(request)
        self.assertEqual((updated.collection_name, updated.index.default_nprobe, updated.metadata),
                         ("words", 5, '{"language":"en"}'))
        search = Context.points.SearchRequest(collection_name="words", limit=1)
        search.vectors.values.extend(Context.queries[0])
        self.assertEqual(self.points.Search(search).lists_scanned, 5)
        request.expected_revision = updated.revision - 1
        self.assertEqual(error_of(lambda: self.collections.Update(request)),
                         (grpc.StatusCode.FAILED_PRECONDITION, "REVISION_MISMATCH", []))
        request.update_mask.paths.append("metric")
        self.assertEqual(
            error_of(lambda: self.collections.Update(request)),
            (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", ["update_mask.paths[2]"]))
        request.ClearField("update_mask")
        request.ClearField("expected_revision")
        request.index.default_nprobe = 0
        request.update_mask.paths.append("index.default_nprobe")
        self.assertGreater(self.collections.Update(request).index.default_nprobe, 0)

    def test_7h_lists_order_and_estimate(self):
        request = Context.collections.GetListStatisticsRequest(
            collection_name="words", page_size=17)
        sizes = []
        while True:
            page = self.collections.GetListStatistics(request)
            sizes += [entry.points for entry in page.lists]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        self.assertEqual((len(sizes), sum(sizes)), (page.nlist, ROWS - 3))
        self.assertEqual((min(sizes), max(sizes)), (page.points_min, page.points_max))

        points = Context.points
        scroll = points.ScrollRequest(
            collection_name="words", page_size=400,
            order_by=points.OrderBy(key="senses", direction=points.DESCENDING))
        scroll.with_payload.include.append("senses")
        self.assertEqual(error_of(lambda: self.points.Scroll(scroll))[:2],
                         (grpc.StatusCode.FAILED_PRECONDITION, "PAYLOAD_INDEX_MISSING"))
        operation = self.collections.CreatePayloadIndex(
            Context.collections.CreatePayloadIndexRequest(
                collection_name="words", key="senses", type=Context.filters.INTEGER))
        list(self.operations.Watch(
            Context.operations.WatchOperationRequest(operation_id=operation.operation_id)))
        seen = []
        while True:
            page = self.points.Scroll(scroll)
            seen += [(-json.loads(point.payload)["senses"], point.id.num)
                     for point in page.points]
            scroll.page_token = page.next_page_token
            if not scroll.page_token:
                break
        self.assertEqual(len(seen), ROWS - 3)
        self.assertEqual(seen, sorted(seen))

        count = points.CountRequest(collection_name="words", exact=False, filter=self.filter(
            key="gloss", exists=True))
        estimate = self.points.Count(count)
        self.assertFalse(estimate.exact)
        self.assertEqual(estimate.points_max, ROWS - 3)
        self.assertTrue(self.points.Count(
            points.CountRequest(collection_name="words", filter=count.filter)).exact)

    def test_7i_range_and_bounds(self):
        points = Context.points
        query = Context.queries[3]
        scores = Context.vectors @ query / numpy.linalg.norm(query)
        scores /= numpy.linalg.norm(Context.vectors, axis=1)
        scores[1000:1003] = -1  # deleted before
        order = numpy.argsort(-scores)
        request = points.SearchRangeRequest(
            collection_name="words", page_size=7,
            radius=float(scores[order[39]] + scores[order[40]]) / 2)
        request.vector.values.extend(query)
        request.with_payload.include.append("word")
        hits = []
        while True:
            page = self.points.SearchRange(request)
            self.assertEqual(page.plan, points.LISTS)
            hits += page.hits
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        self.assertEqual({hit.id.num for hit in hits}, set(order[:40].tolist()))
        self.assertEqual(len(hits), 40)
        self.assertEqual([h.score for h in hits], sorted((h.score for h in hits), reverse=True))
        self.assertTrue(all(hit.score_is_exact and "word" in hit.payload for hit in hits))
        request.page_token = "nonsense"
        self.assertEqual(error_of(lambda: self.points.SearchRange(request)),
                         (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", ["page_token"]))
        request.ClearField("radius")
        self.assertEqual(error_of(lambda: self.points.SearchRange(request))[2], ["radius"])

        search = points.SearchRequest(collection_name="words", limit=50, with_bounds=True)
        search.vectors.values.extend(query)
        for hit in self.points.Search(search).results[0].hits:
            self.assertEqual((hit.bounds.lower, hit.bounds.upper), (hit.score, hit.score))
        search.params.no_rerank = True
        for hit in self.points.Search(search).results[0].hits:
            self.assertLess(hit.bounds.lower, hit.bounds.upper)
            self.assertLessEqual(hit.bounds.lower, scores[hit.id.num] + 1e-6)
            self.assertGreaterEqual(hit.bounds.upper, scores[hit.id.num] - 1e-6)

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

    def test_8a_codebooks(self):
        messages = Context.codebooks
        vectors = Context.types.Vectors(values=Context.vectors[:3].ravel())
        encoded = self.codebooks.Encode(
            messages.EncodeRequest(collection_name="words", vectors=vectors))
        codebook = self.codebooks.Get(messages.GetCodebookRequest(collection_name="words"))
        self.assertEqual(len(encoded.codes.codes), 3 * codebook.code_bytes)
        decoded = self.codebooks.Decode(
            messages.DecodeRequest(collection_name="words", codes=encoded.codes))
        rows = numpy.frombuffer(decoded.vectors.data, dtype="<f4") if decoded.vectors.data \
            else numpy.array(decoded.vectors.values)
        units = Context.vectors[:3] / numpy.linalg.norm(Context.vectors[:3], axis=1)[:, None]
        numpy.testing.assert_allclose(
            numpy.linalg.norm(rows.reshape(3, -1) - units, axis=1), encoded.errors, atol=1e-3)

        chunks = [part.chunk for part in self.codebooks.Export(
            messages.ExportCodebookRequest(collection_name="words", version=1))]
        self.assertEqual(sum(map(len, chunks)), codebook.size_bytes)
        imported = self.succeeded(self.codebooks.Import(iter(
            [messages.ImportCodebookRequest(collection_name="words")]
            + [messages.ImportCodebookRequest(chunk=chunk) for chunk in chunks])))
        self.assertEqual(imported.codebook_version, 2)
        listed = self.codebooks.List(
            messages.ListCodebooksRequest(collection_name="words")).codebooks
        self.assertEqual([(c.version, c.current) for c in listed], [(1, False), (2, True)])
        self.assertEqual(len({c.content_hash for c in listed}), 1)
        page = self.codebooks.List(
            messages.ListCodebooksRequest(collection_name="words", page_size=1))
        rest = self.codebooks.List(messages.ListCodebooksRequest(
            collection_name="words", page_size=1, page_token=page.next_page_token))
        self.assertEqual(list(page.codebooks) + list(rest.codebooks), list(listed))
        self.assertEqual(rest.next_page_token, "")
        self.succeeded(self.codebooks.Activate(
            messages.ActivateCodebookRequest(collection_name="words", version=1)))
        self.codebooks.Delete(messages.DeleteCodebookRequest(collection_name="words", version=2))
        listed = self.codebooks.List(
            messages.ListCodebooksRequest(collection_name="words")).codebooks
        self.assertEqual([(c.version, c.current) for c in listed], [(1, True)])

    def test_8b_snapshots(self):
        messages = Context.snapshots
        created = self.succeeded(self.snapshots.Create(
            messages.CreateSnapshotRequest(collection_name="words")))
        listed = self.snapshots.List(messages.ListSnapshotsRequest()).snapshots
        self.assertEqual([s.snapshot_id for s in listed], [created.snapshot_id])
        snapshot = self.snapshots.Get(
            messages.GetSnapshotRequest(snapshot_id=created.snapshot_id))
        self.assertEqual((snapshot.collection_name, snapshot.points, snapshot.damage),
                         ("words", ROWS - 3, ""))
        self.succeeded(self.snapshots.Verify(
            messages.VerifySnapshotRequest(snapshot_id=created.snapshot_id)))
        self.succeeded(self.snapshots.Restore(messages.RestoreSnapshotRequest(
            snapshot_id=created.snapshot_id, collection_name="copy")))
        for query in Context.queries[:10]:
            request = Context.points.SearchRequest(collection_name="copy", limit=10)
            request.vectors.values.extend(query)
            self.assertEqual([hit.id.num for hit in self.points.Search(request).results[0].hits],
                             [hit.id.num for hit in self.search(query)])
        self.snapshots.Delete(messages.DeleteSnapshotRequest(snapshot_id=created.snapshot_id))
        self.assertEqual(error_of(lambda: self.snapshots.Get(
            messages.GetSnapshotRequest(snapshot_id=created.snapshot_id)))[1], "NOT_FOUND")
        self.collections.Delete(
            Context.collections.DeleteCollectionRequest(collection_name="copy"))

    def test_8c_operations(self):
        messages = Context.operations
        operation = self.codebooks.Train(Context.codebooks.TrainRequest(collection_name="words"))
        named = messages.GetOperationRequest(operation_id=operation.operation_id)
        self.assertEqual(self.operations.Get(named).kind, operation.kind)
        request = messages.ListOperationsRequest(collection_name="words")
        everything = [o.operation_id for o in self.operations.List(request).operations]
        self.assertEqual(everything[0], operation.operation_id)
        self.assertGreater(len(everything), 5)
        request.page_size, paged = 2, []
        while True:
            page = self.operations.List(request)
            paged += [o.operation_id for o in page.operations]
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        self.assertEqual(paged, everything)
        request.page_token = "nonsense"
        self.assertEqual(error_of(lambda: self.operations.List(request))[2], ["page_token"])
        # It may have ended just before; what it is after that must not change.
        self.operations.Cancel(
            messages.CancelOperationRequest(operation_id=operation.operation_id))
        states = list(self.operations.Watch(
            messages.WatchOperationRequest(operation_id=operation.operation_id)))
        self.assertIn(states[-1].state, (messages.CANCELLED, messages.SUCCEEDED))
        self.assertEqual(self.operations.Get(named).state, states[-1].state)

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

    def test_9a_every_call_has_been_made(self):
        self.assertGreater(len(Context.rpcs), 40)
        self.assertEqual(sorted(Context.rpcs - Context.recorder.called), [])


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
                Context.recorder = Recorder()
                Context.channel = grpc.intercept_channel(channel, Context.recorder)
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
