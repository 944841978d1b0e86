#!/usr/bin/python3
"""Makes vectors that vary in few of their directions, as embeddings do, with their exact neighbours.

usage: directions.py OUT [--rows N] [--queries N] [--dimension N] [--directions N] [--decay D]
                     [--centres N]

Around random centres the k-th direction varies as 1 / k, or as 1 / k^D; of all others there is a little
noise. Vectors with more directions than components, few centres and a small decay have little structure
and are hard to search. Writes unit vectors, for the inner product: OUT/vectors.npy (float16),
OUT/queries.npy and OUT/groundtruth.ivecs (100 ids a query). The same arguments make the same files.
"""

import argparse
import os

import numpy as np

NEIGHBOURS = 100
NOISE = 0.15
QUERIES_AT_ONCE = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--directions", type=int, default=96)
    parser.add_argument("--decay", type=float, default=1)
    parser.add_argument("--centres", type=int, default=3_000)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)

    random = np.random.default_rng(3)

    def normal(*shape):
        return random.standard_normal(shape).astype(np.float32)

    scale = np.arange(1, args.directions + 1, dtype=np.float32) ** np.float32(-args.decay / 2)
    directions = normal(args.directions, args.dimension) * scale[:, None]
    centres = normal(args.centres, args.directions)

    def vectors(count):
        shares = centres[random.integers(0, args.centres, count)] * np.float32(0.8)
        shares += normal(count, args.directions) * np.float32(0.7)
        rows = shares @ directions + normal(count, args.dimension) * np.float32(NOISE)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    base = vectors(args.rows).astype(np.float16)
    queries = vectors(args.queries)
    np.save(os.path.join(args.out, "vectors.npy"), base)
    np.save(os.path.join(args.out, "queries.npy"), queries)

    base = base.astype(np.float32)
    with open(os.path.join(args.out, "groundtruth.ivecs"), "wb") as file:
        for begin in range(0, args.queries, QUERIES_AT_ONCE):
            scores = queries[begin:begin + QUERIES_AT_ONCE] @ base.T
            for row in scores:
                nearest = np.argpartition(-row, NEIGHBOURS)[:NEIGHBOURS]
                nearest = nearest[np.argsort(-row[nearest], kind="stable")]
                file.write(np.int32(NEIGHBOURS).tobytes() + nearest.astype(np.int32).tobytes())


if __name__ == "__main__":
    main()
