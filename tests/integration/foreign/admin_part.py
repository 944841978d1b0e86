"""Health, codebooks, snapshots, operations."""

import numpy

from session import ROWS, Case, Context, error_of


class AdminPart(Case):
    def test_1_health(self):
        stub = Context.health_grpc.HealthStub(Context.channel)
        answer = stub.Check(Context.health.HealthCheckRequest())
        self.assertEqual(answer.status, Context.health.HealthCheckResponse.SERVING)
        watch = stub.Watch(Context.health.HealthCheckRequest())
        self.assertEqual(next(watch).status, Context.health.HealthCheckResponse.SERVING)
        watch.cancel()

    def test_1a_reflection(self):
        """The server tells of the services that the .proto files have."""
        stub = Context.reflection_grpc.ServerReflectionStub(Context.channel)
        answers = list(stub.ServerReflectionInfo(iter(
            [Context.reflection.ServerReflectionRequest(list_services="*")])))
        self.assertEqual(len(answers), 1)
        self.assertEqual({service.name for service in answers[0].list_services_response.service},
                         {rpc.split("/")[1] for rpc in Context.rpcs})

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
