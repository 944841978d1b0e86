"""A second collection, of string ids: the options for which the first one has no use."""

import json

import numpy

from session import Case, Context

POINTS = 300
NAME = "options"


class OptionsPart(Case):
    def pages(self, call, request):
        """The answers to a request, page by page."""
        answers = []
        while True:
            answers.append(call(request))
            request.page_token = answers[-1].next_page_token
            if not request.page_token:
                return answers

    def test_8d_create_with_everything(self):
        messages = Context.collections
        spec = messages.IndexSpec(
            nlist=6, subquantizers=4, nbits=4, vectors=messages.DISK, seed=7, iterations=5,
            training_vectors_per_list=40, default_nprobe=3, default_rerank=50)
        created = self.collections.Create(messages.CreateCollectionRequest(
            collection_name=NAME, dimension=8, metric=Context.types.L2, index=spec,
            durability=Context.types.ASYNC, metadata='{"a":1}'))
        self.assertEqual((created.index, created.durability, created.metadata),
                         (spec, Context.types.ASYNC, '{"a":1}'))
        update = messages.UpdateCollectionRequest(
            collection_name=NAME, durability=Context.types.SYNC)
        update.update_mask.paths.append("durability")
        self.assertEqual(self.collections.Update(update).durability, Context.types.SYNC)
        answers = self.pages(self.collections.List, messages.ListCollectionsRequest(page_size=1))
        self.assertEqual([[c.collection_name for c in answer.collections] for answer in answers],
                         [[NAME], ["words"]])
        self.collections.UpdateAliases(messages.UpdateAliasesRequest(
            actions=[messages.Alias(alias_name="other", collection_name=NAME)]))
        aliases = self.collections.ListAliases(messages.ListAliasesRequest(collection_name=NAME))
        self.assertEqual([alias.alias_name for alias in aliases.aliases], ["other"])

    def test_8d_names(self):
        """Points p000 to p299 on a line, a little beside it, with payloads of every type."""
        points = Context.points
        vectors = numpy.random.default_rng(1).random((POINTS, 8), numpy.float32) / 100
        vectors[:, 0] = numpy.arange(POINTS)
        request = points.UpsertRequest(collection_name=NAME)
        request.ids.str.extend(f"p{i:03}" for i in range(POINTS))
        request.vectors.values.extend(vectors.ravel())
        request.payloads.extend(
            json.dumps({"n": i, "x": i / 2, "w": f"w{i:03}", "even": i % 2 == 0})
            for i in range(POINTS))
        self.assertEqual(self.points.Upsert(request).points, POINTS)
        get = points.GetPointsRequest(collection_name=NAME, with_vectors=True)
        get.ids.str.extend(["p007", "p000"])
        get.with_payload.exclude.extend(["x", "w"])
        found = self.points.Get(get).points
        self.assertEqual([json.loads(point.payload) for point in found],
                         [{"n": 7, "even": False}, {"n": 0, "even": True}])
        self.assertEqual(found[0].vector.data, vectors[7].tobytes())
        scroll = points.ScrollRequest(collection_name=NAME, page_size=2, with_vectors=True)
        page = self.points.Scroll(scroll)
        self.assertEqual([(point.id.str, point.vector.data) for point in page.points],
                         [("p000", vectors[0].tobytes()), ("p001", vectors[1].tobytes())])
        facet = points.FacetRequest(collection_name=NAME, key="even", filter=self.filter(
            key="n", range=Context.filters.Range(lt=9)))
        self.assertEqual([(hit.value.boolean, hit.points) for hit in self.points.Facet(facet).hits],
                         [(True, 5), (False, 4)])

    def test_8d_orders_from_a_value(self):
        points, filters = Context.points, Context.filters
        for key, kind, start in (("n", filters.INTEGER, points.StartFrom(integer=40)),
                                 ("x", filters.FLOAT, points.StartFrom(number=19.75)),
                                 ("w", filters.KEYWORD, points.StartFrom(text="w039b"))):
            self.succeeded(self.collections.CreatePayloadIndex(
                Context.collections.CreatePayloadIndexRequest(
                    collection_name=NAME, key=key, type=kind)))
            page = self.points.Scroll(points.ScrollRequest(
                collection_name=NAME, page_size=2,
                order_by=points.OrderBy(key=key, start_from=start)))
            self.assertEqual([point.id.str for point in page.points], ["p040", "p041"])

    def test_8d_ranges_and_thresholds(self):
        points = Context.points
        even = self.filter(key="even", match=Context.filters.Match(boolean=True))
        near = points.SearchRangeRequest(
            collection_name=NAME, id=Context.types.PointId(str="p010"), radius=4.5, filter=even,
            with_vectors=True, explain=True)
        answer = self.points.SearchRange(near)
        self.assertEqual({hit.id.str for hit in answer.hits}, {"p008", "p012"})
        self.assertEqual([len(hit.vector.data) for hit in answer.hits], [32, 32])
        self.assertEqual(answer.explanation.points_matching, POINTS // 2)
        self.assertEqual(list(answer.explanation.unindexed), ["even"])
        search = points.SearchRequest(limit=10, score_threshold=1.5)
        search.ids.str.append("p010")
        batch = self.points.SearchBatch(
            points.SearchBatchRequest(collection_name=NAME, searches=[search]))
        self.assertEqual({hit.id.str for hit in batch.responses[0].results[0].hits},
                         {"p009", "p011"})
        # Of cosines, the larger ones are nearer.
        search = points.SearchRequest(collection_name="words", limit=10)
        search.ids.num.append(20)
        threshold = self.points.Search(search).results[0].hits[2].score
        search.score_threshold = threshold
        self.assertEqual(len(self.points.Search(search).results[0].hits), 3)
        around = points.SearchRangeRequest(
            collection_name="words", id=Context.types.PointId(num=20), radius=threshold)
        self.assertEqual([hit.id for hit in self.points.SearchRange(around).hits],
                         [hit.id for hit in self.points.Search(search).results[0].hits])

    def test_8d_seeds_and_versions(self):
        messages = Context.codebooks
        for seed in (5, 6, 5):
            self.succeeded(self.codebooks.Train(
                messages.TrainRequest(collection_name=NAME, seed=seed)))
        hashes = [self.codebooks.Get(messages.GetCodebookRequest(
            collection_name=NAME, version=version)).content_hash for version in (1, 2, 3)]
        self.assertEqual(hashes[0], hashes[2])
        self.assertNotEqual(hashes[0], hashes[1])

    def test_8d_snapshots_page_by_page(self):
        messages = Context.snapshots
        ids = [self.succeeded(self.snapshots.Create(messages.CreateSnapshotRequest(
            collection_name=name))).snapshot_id for name in (NAME, "words", NAME)]
        answers = self.pages(self.snapshots.List, messages.ListSnapshotsRequest(page_size=2))
        self.assertEqual([[s.snapshot_id for s in answer.snapshots] for answer in answers],
                         [ids[:2], ids[2:]])
        delete = Context.points.DeletePointsRequest(
            collection_name=NAME, durability=Context.types.ASYNC, request_id="once")
        delete.ids.str.extend(["p001", "p002", "nonsense"])
        first = self.points.Delete(delete)
        self.assertEqual(first.points, 2)
        self.assertEqual(self.points.Delete(delete), first)
        count = Context.points.CountRequest(collection_name=NAME)
        self.assertEqual(self.points.Count(count).points, POINTS - 2)
        self.succeeded(self.snapshots.Restore(
            messages.RestoreSnapshotRequest(snapshot_id=ids[2], replace=True)))
        self.assertEqual(self.points.Count(count).points, POINTS)
        self.collections.Delete(
            Context.collections.DeleteCollectionRequest(collection_name=NAME))
