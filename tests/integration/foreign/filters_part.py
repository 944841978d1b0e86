"""Filters: what they mean, with and without indexes, and what is none."""

import json
import random

import grpc
import numpy

import foreign_filters
from session import ROWS, Case, Context, error_of


class FiltersPart(Case):
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
