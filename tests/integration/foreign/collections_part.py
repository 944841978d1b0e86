"""Collections: made, described, changed, named otherwise."""

import grpc

from session import ROWS, Case, Context, error_of


class CollectionsPart(Case):
    def test_2_create(self):
        created = self.collections.Create(Context.collections.CreateCollectionRequest(
            collection_name="words", dimension=128, metric=Context.types.COSINE,
            element_type=Context.types.FLOAT16))
        self.assertEqual(created.state, Context.collections.UNTRAINED)
        self.assertEqual(created.index.subquantizers, 0)  # chosen at training

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
        by_default = self.points.Search(search).lists_scanned
        self.assertIn(by_default, range(2, 2 * 5 + 1))  # five are what queries probe on average
        search.params.nprobe = 5
        self.assertEqual(self.points.Search(search).lists_scanned, by_default)
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

    def test_7h_lists(self):
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
