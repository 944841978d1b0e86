#ifndef TESSERA_INDEX_BASE_LIMITS_H_
#define TESSERA_INDEX_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

// Every limit of Tessera, in one place. A request over a limit gets INVALID_ARGUMENT with the
// field and the limit named, before anything is allocated or changed; one that would have more kept
// or running than may be, RESOURCE_EXHAUSTED or FAILED_PRECONDITION with a reason.
namespace tessera::limits {

inline constexpr uint32_t kDimensionMax = 32'768;
// Of a vector, in magnitude: a search's sums of squares stay a hundred times below what a float
// holds.
inline constexpr double kComponentMax = 1e15;
inline constexpr uint64_t kPointsPerCollectionMax = 0xFFFF'FF00u;  // slots are 32 bits
inline constexpr size_t kCollectionsMax = 10'000;
inline constexpr uint32_t kCollectionIdMax = 0xFFFF'FFFEu;  // ids are never given twice
inline constexpr size_t kCollectionNameBytesMax = 128;
inline constexpr size_t kCollectionMetadataBytesMax = 4 << 10;
inline constexpr size_t kAliasesMax = 10'000;      // other names of collections
inline constexpr size_t kAliasActionsMax = 1'000;  // in one request
inline constexpr size_t kStringIdBytesMax = 256;
inline constexpr size_t kPayloadBytesMax = 64 << 10;
inline constexpr size_t kPayloadDepthMax = 16;

inline constexpr size_t kFieldPathBytesMax = 256;      // the key of a condition or payload index
inline constexpr size_t kFilterDepthMax = 8;           // filters inside filters
inline constexpr size_t kFilterConditionsMax = 1'000;  // in one filter, those inside included
inline constexpr size_t kFilterValuesMax = 100'000;    // values and ids of all its conditions
inline constexpr size_t kPayloadIndexesMax = 64;       // of one collection
inline constexpr size_t kListCodesMax = 8;             // fields that filters read beside the lists
inline constexpr size_t kCopiedPayloadBytesMax = 1'000;  // longer payloads are read from the store

inline constexpr size_t kMessageBytesMax = 64 << 20;      // a gRPC request or response
inline constexpr size_t kMessageElementsMax = 1'000'000;  // messages and strings in a request
inline constexpr size_t kUpsertPointsMax = 100'000;       // in one request or stream chunk
inline constexpr size_t kEditBytesMax = 256 << 20;        // vectors and payloads of an edit by ids
inline constexpr size_t kGroupCommitPointsMax = 100'000;  // in one synced batch of requests
// A deletion by filter of more points leaves their records, which go in steps of so many.
inline constexpr size_t kDeletionStepPointsMax = 1'000;
inline constexpr size_t kRequestIdBytesMax = 64;
inline constexpr size_t kRequestIdsKeptMax = 100'000;        // of one collection
inline constexpr uint32_t kAsyncSyncMsMax = 200;             // between syncs of ASYNC writes
inline constexpr size_t kIdsPerRequestMax = 100'000;         // get, delete
inline constexpr size_t kSearchQueriesMax = 10'000;          // in one request
inline constexpr size_t kGatheredSearchesMax = 64;           // calls, or their queries, run as one
inline constexpr size_t kGatheredSearchBytesMax = 64 << 10;  // larger requests run alone
inline constexpr size_t kSearchLimitMax = 10'000;            // k
inline constexpr size_t kSearchResultsMax = 1'000'000;       // queries x k in one request
inline constexpr size_t kRerankMax = 100'000;                // candidates reranked for one query
inline constexpr size_t kSearchStreamInFlightMax = 64;       // searches of one stream in the server
inline constexpr size_t kSearchBatchMax = 100;               // searches in one batch
inline constexpr size_t kFacetBytesMax = 256 << 20;          // of values without an index
inline constexpr size_t kGroupSizeMax = 100;                 // hits of one group
inline constexpr size_t kRecommendExamplesMax = 1'000;
inline constexpr size_t kPayloadSelectorFieldsMax = 100;
inline constexpr size_t kPageSizeMax = 10'000;
inline constexpr size_t kPageSizeDefault = 100;
inline constexpr size_t kPageTokenBytesMax = 512;
inline constexpr size_t kOrderedPageTokenBytesMax = 96 << 10;  // it may hold a payload's string
inline constexpr size_t kEncodeVectorsMax = 100'000;

inline constexpr uint32_t kListsMax = 1u << 20;        // nlist
inline constexpr size_t kRotationFloatsMax = 300'000;  // of a codebook: each search reads them
inline constexpr uint32_t kSubquantizersMax = 4'096;   // m
// Of vectors, where it is used to rank lists: products of two of them must be ordinary floats.
inline constexpr double kVectorLengthMin = 1e-10;
inline constexpr double kVectorLengthMax = 1e10;
inline constexpr size_t kTrainingVectorsMax = 16'000'000;     // sampled for training
inline constexpr size_t kTrainingBytesMax = size_t{2} << 30;  // of the sample, as floats
inline constexpr uint32_t kTrainingIterationsMax = 1'000;
inline constexpr size_t kCodebookBytesMax = size_t{2} << 30;

inline constexpr uint32_t kCodebooksKeptMax = 8;  // versions of one collection

// Of a calibration: queries that a request brings, and of those measured the depths of a search.
inline constexpr size_t kCalibrationQueriesMax = 10'000;
inline constexpr uint32_t kCalibratedRerankMax = 16'384;
inline constexpr size_t kCalibratedNprobesMax = 128;
inline constexpr size_t kCalibratedReranksMax = 64;

// Dead entries of an inverted list, before it is rewritten without them.
inline constexpr uint32_t kListDeadPercentMax = 5;

// A list is split when it has more entries than this, and this many times the mean of all lists.
inline constexpr size_t kListSplitEntries = 1'024;
inline constexpr size_t kListMeansMax = 4;
// What one step of splitting does at the most: writes wait for the move, not for what prepares it.
inline constexpr size_t kListsSplitMax = 16;          // at once
inline constexpr size_t kListPartsMax = 16;           // of one list
inline constexpr size_t kListMoveEntriesMax = 4'096;  // that go to other lists
inline constexpr size_t kListPartSampleMax = 256;     // vectors of a list looked at for each part

inline constexpr size_t kOperationsRunningMax = 16;
inline constexpr size_t kOperationsKeptMax = 1'000;  // finished ones that can still be asked for

inline constexpr size_t kSnapshotsMax = 1'000;  // in one data directory
inline constexpr size_t kSnapshotIdBytesMax = 32;
inline constexpr size_t kSnapshotManifestBytesMax = 64 << 20;
inline constexpr size_t kSnapshotFileNameBytesMax = 128;
inline constexpr size_t kCreatorVersionBytesMax = 64;
inline constexpr size_t kCatalogRecordBytesMax = 4 << 10;
inline constexpr size_t kFsckFindingsMax = 1'000;  // told one by one; the rest is counted

inline constexpr size_t kOperationIdBytesMax = 64;
inline constexpr size_t kSearchQueueMax = 1'024;  // calls that wait for a thread, of each pool
inline constexpr size_t kWriteQueueMax = 256;
inline constexpr size_t kAdminQueueMax = 256;
inline constexpr size_t kHeldRequestBytesMax = 512 << 20;  // waiting or running, of each pool
inline constexpr size_t kStreamsPerConnectionMax = 100;    // calls at once on one connection
inline constexpr size_t kMetadataBytesMax = 8 << 10;       // of one call's headers
inline constexpr size_t kReflectionRequestBytesMax = 4 << 10;
inline constexpr size_t kErrorMessageBytesMax = 1'024;  // so that an error fits a client's headers

// Who may call.
inline constexpr size_t kApiKeyBytesMin = 16;
inline constexpr size_t kApiKeyBytesMax = 256;
inline constexpr size_t kApiKeysMax = 1'000;
inline constexpr size_t kAuthFileBytesMax = 1 << 20;  // keys, or a certificate with its chain

// Of files that clients read.
inline constexpr size_t kFileHeaderBytesMax = 64 << 10;  // .npy
inline constexpr size_t kFileArrayRankMax = 32;          // NumPy's own limit
inline constexpr size_t kFileChunkBytesMax = 8 << 20;    // read, and sent, at a time
inline constexpr size_t kJsonLineBytesMax = 4 << 20;     // a point: id, vector and payload
inline constexpr size_t kDeflateRatioMax = 1032;         // what zlib's format can make of a byte

// Of the server's flags.
inline constexpr int32_t kThreadsMax = 1'024;
inline constexpr int32_t kBlockCacheMbMax = 1 << 20;
inline constexpr int32_t kDrainSecondsMax = 3'600;

}  // namespace tessera::limits

#endif  // TESSERA_INDEX_BASE_LIMITS_H_
