#!/usr/bin/python3
"""Makes a larger set of vectors out of a folder of bytes: copies, each component of which is moved
by a random whole number, with the exact nearest neighbours of the queries.

usage: enlarge.py FOLDER COPIES OUT [--part PART] [--queries N] [--noise N] [--seed N]

Reads base.bvecs and query.bvecs, writes OUT/base.bvecs (the originals first), OUT/query.bvecs and
OUT/groundtruth.ivecs (100 ids a query by squared Euclidean distance, ties to the lower id). PART gets
the same three of one in COPIES of the vectors, drawn at random: as many as FOLDER has, spread as OUT's
are, so that the two tell how the cost of a search grows with the number of vectors alone.
"""

import argparse
import os

import numpy as np

NEIGHBOURS = 100
BLOCK_ROWS = 100_000


def read_bvecs(path):
    raw = np.fromfile(path, dtype=np.uint8)
    dimension = int(raw[:4].view("<i4")[0])
    return raw.reshape(-1, 4 + dimension)[:, 4:]


def with_dimension(rows):
    """The rows of a .bvecs or .ivecs file: each with its dimension before it."""
    prefix = np.full((len(rows), 1), rows.shape[1], dtype="<i4")
    if rows.dtype == np.uint8:
        return np.hstack([prefix.view(np.uint8), rows])
    return np.hstack([prefix, rows.astype("<i4")])


def moved(rows, noise, random):
    steps = random.integers(-noise, noise, size=rows.shape, dtype=np.int16, endpoint=True)
    return np.clip(rows.astype(np.int16) + steps, 0, 255).astype(np.uint8)


class Nearest:
    """The nearest rows of each query so far. Sums of products of bytes stay below 2^24 up to 256
    components, so that 32-bit floats hold them exactly."""

    def __init__(self, queries):
        self.queries = queries.astype(np.float32)
        self.best = [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]

    def add(self, rows, first_id):
        values = rows.astype(np.float32)
        norms = np.einsum("ij,ij->i", values, values)
        # The part of the squared distance that differs from row to row.
        distances = norms - 2 * (self.queries @ values.T)
        for q, (ids, best) in enumerate(self.best):
            limit = np.partition(distances[q], NEIGHBOURS - 1)[NEIGHBOURS - 1]
            near = np.flatnonzero(distances[q] <= limit)
            ids = np.concatenate([ids, near + first_id])
            best = np.concatenate([best, distances[q][near]])
            order = np.lexsort((ids, best))[:NEIGHBOURS]
            self.best[q] = ids[order], best[order]

    def ids(self):
        return np.array([ids for ids, _ in self.best])


class Folder:
    """A set of vectors as it is written, block by block."""

    def __init__(self, path, queries):
        os.makedirs(path, exist_ok=True)
        self.path = path
        self.queries = queries
        self.nearest = Nearest(queries)
        self.written = 0
        self.base = open(os.path.join(path, "base.bvecs"), "wb")

    def add(self, rows):
        with_dimension(rows).tofile(self.base)
        self.nearest.add(rows, self.written)
        self.written += len(rows)

    def finish(self):
        self.base.close()
        with_dimension(self.queries).tofile(os.path.join(self.path, "query.bvecs"))
        with_dimension(self.nearest.ids()).tofile(os.path.join(self.path, "groundtruth.ivecs"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("copies", type=int)
    parser.add_argument("out")
    parser.add_argument("--part")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--noise", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    base = read_bvecs(os.path.join(args.folder, "base.bvecs"))
    queries = read_bvecs(os.path.join(args.folder, "query.bvecs"))[:args.queries]
    random = np.random.default_rng(args.seed)
    drawing = np.random.default_rng(args.seed + 1)
    out = Folder(args.out, queries)
    part = Folder(args.part, queries) if args.part else None
    for copy in range(args.copies):
        for begin in range(0, len(base), BLOCK_ROWS):
            rows = base[begin:begin + BLOCK_ROWS]
            if copy > 0:
                rows = moved(rows, args.noise, random)
            out.add(rows)
            if part:
                part.add(rows[drawing.integers(args.copies, size=len(rows)) == 0])
        print(f"{out.written:,} vectors", flush=True)
    out.finish()
    if part:
        part.finish()


if __name__ == "__main__":
    main()
