"""Points: everything that searches and counts."""

import collections
import json

import grpc
import numpy

from session import ROWS, Case, Context, error_of


class SearchPart(Case):
    def test_4_search_exactly(self):
        for query in Context.queries[:20]:
            hits = self.search(query)
            self.assertEqual([hit.id.num for hit in hits], self.truth(query, 10))
            self.assertTrue(all(hit.score_is_exact for hit in hits))

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

    def test_6b_search_for_a_recall(self):
        calibrate = Context.collections.CalibrateRequest(collection_name="words")
        for query in Context.queries[::2]:
            calibrate.queries.values.extend(query)
        self.succeeded(self.collections.Calibrate(calibrate))
        words = self.collections.Get(
            Context.collections.GetCollectionRequest(collection_name="words"))
        self.assertEqual(words.calibration.queries, len(Context.queries[::2]))
        self.assertFalse(words.calibration.stored_queries)
        request = Context.points.SearchRequest(collection_name="words", limit=10)
        recalls = []
        for target in (0.7, 0.9, 0.97):
            request.params.target_recall = target
            found = 0
            for query in Context.queries:
                del request.vectors.values[:]
                request.vectors.values.extend(query)
                answer = self.points.Search(request)
                self.assertGreaterEqual(answer.expected_recall, target - 1e-6)
                found += len({hit.id.num for hit in answer.results[0].hits}
                             & set(self.truth(query, 10)))
            recalls.append(found / (10 * len(Context.queries)))
            self.assertGreaterEqual(recalls[-1], target - 0.04)
        self.assertEqual(recalls, sorted(recalls))
        request.params.target_recall = 1.5
        self.assertEqual(error_of(lambda: self.points.Search(request))[2],
                         ["params.target_recall"])

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

    def test_7c_facet_pages(self):
        points = Context.points
        counts = collections.Counter(
            word for p in Context.payloads for word in set(json.loads(p)["synonyms"]))
        request = points.FacetRequest(collection_name="words", key="synonyms", limit=700)
        self.assertGreater(len(counts), 2 * request.limit)
        seen = []
        while True:
            page = self.points.Facet(request)
            seen += [(-hit.points, hit.value.str) for hit in page.hits]
            if not page.next_page_token:
                break
            self.assertEqual(len(page.hits), request.limit)
            request.page_token = page.next_page_token
        expected = [(-count, word) for word, count in counts.items()]
        self.assertEqual(seen, sorted(expected, key=lambda hit: (hit[0], hit[1].encode())))
        request.key = "category"
        self.assertEqual(error_of(lambda: self.points.Facet(request)),
                         (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", ["page_token"]))

    def test_7c_explanation(self):
        """What a search says of itself is what can be counted from outside."""
        points = Context.points
        codebook = self.codebooks.Get(
            Context.codebooks.GetCodebookRequest(collection_name="words"))
        request = points.SearchRequest(collection_name="words", limit=5)
        request.vectors.values.extend(Context.queries[0])
        request.params.nprobe, request.params.rerank = 3, 40
        self.assertFalse(self.points.Search(request).HasField("explanation"))
        request.explain = True

        def explained():
            answer = self.points.Search(request)
            said = answer.explanation
            self.assertEqual(said.lists_scanned, answer.lists_scanned)
            vectors = said.candidates_reranked * Context.halves[0].nbytes
            self.assertGreaterEqual(said.bytes_read - vectors,
                                    said.codes_scanned * codebook.code_bytes)
            if not said.codes_scanned:
                self.assertEqual(said.bytes_read, vectors)
            return answer.plan, said

        plan, said = explained()
        self.assertEqual(plan, points.LISTS)
        self.assertEqual(said.candidates_reranked, 40)
        # Three are what queries probe on average.
        self.assertIn(said.lists_scanned, range(1, 2 * 3 + 1))
        listed = self.collections.GetListStatistics(
            Context.collections.GetListStatisticsRequest(collection_name="words", page_size=10000))
        sizes = sorted(entry.points + entry.dead_entries for entry in listed.lists)
        self.assertLessEqual(sum(sizes[:said.lists_scanned]), said.codes_scanned)
        self.assertGreaterEqual(sum(sizes[-said.lists_scanned:]), said.codes_scanned)
        self.assertGreater(said.table_ns, 0)
        self.assertLessEqual(said.table_ns // 1000 + said.rerank_us, said.search_us + 1)
        self.assertEqual((said.points_matching, said.payloads_read, len(said.unindexed)),
                         (0, 0, 0))

        request.params.nprobe = codebook.nlist
        plan, said = explained()
        self.assertEqual((plan, said.lists_scanned), (points.LISTS, len(sizes)))
        self.assertEqual(said.codes_scanned, sum(sizes))

        request.params.exact = True
        plan, said = explained()
        self.assertEqual((plan, said.candidates_reranked, said.codes_scanned, said.table_ns),
                         (points.EXACT, ROWS, 0, 0))
        request.params.exact = False
        # A field without an index, and one with.
        payloads = [json.loads(payload) for payload in Context.payloads]
        for key, condition, holds in (
                ("senses", {"range": Context.filters.Range(gte=7)}, lambda p: p["senses"] >= 7),
                ("category", {"match": Context.filters.Match(keyword="animal")},
                 lambda p: p["category"] == "animal")):
            request.filter.CopyFrom(self.filter(key=key, **condition))
            plan, said = explained()
            matching = sum(map(holds, payloads))
            self.assertIn(plan, (points.EXACT_MATCHING, points.MASKED_LISTS))
            self.assertEqual(said.points_matching, matching)
            indexed = key == "category"
            self.assertEqual((said.payloads_read, list(said.unindexed)),
                             (0, []) if indexed else (ROWS, [key]))

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
