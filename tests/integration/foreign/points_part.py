"""Points: written, edited, read page by page, deleted."""

import json

import grpc

from session import ROWS, Case, Context, error_of


class PointsPart(Case):
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

    def test_7h_order_and_estimate(self):
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
