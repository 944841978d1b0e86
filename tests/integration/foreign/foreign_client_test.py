#!/usr/bin/python3
"""A client that has nothing of ours but the .proto files.

    foreign_client_test.py --tesserad PATH --proto DIRECTORY --wordnet DIRECTORY

Stubs are generated with protoc and gRPC's Python plugin into a temporary folder. Exits with 77, and
says why, where Debian's python3-grpcio, python3-numpy or protobuf-compiler-grpc are missing.
"""

import argparse
import os
import signal
import sys
import tempfile
import unittest

from session import (  # first: it may skip
    ROWS, Context, Recorder, generate, request_fields, start_server)

import grpc
import numpy

from admin_part import AdminPart
from collections_part import CollectionsPart
from filters_part import FiltersPart
from options_part import OptionsPart
from points_part import PointsPart
from search_part import SearchPart


class ForeignClientTest(CollectionsPart, PointsPart, FiltersPart, SearchPart, AdminPart,
                        OptionsPart):
    """One story on one server, in the order of the names, whichever part they are in."""

    maxDiff = None

    def test_9a_every_call_has_been_made(self):
        self.assertGreater(len(Context.rpcs), 40)
        self.assertEqual(sorted(Context.rpcs - Context.recorder.called), [])

    def test_9b_every_field_of_a_request_has_been_set(self):
        fields = request_fields()
        self.assertGreater(len(fields), 150)
        self.assertEqual(sorted(fields - Context.recorder.fields), [])


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
