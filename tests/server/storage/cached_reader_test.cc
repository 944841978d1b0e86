#include "server/storage/cached_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/storage/page_cache.h"
#include "tests/server/storage/temp_dir.h"

namespace tessera {
namespace {

constexpr size_t kFileBytes = 300'000;

class CachedReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = open((dir_.path() + "/file").c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_GE(fd_, 0);
    for (size_t i = 0; i < kFileBytes; ++i) bytes_.push_back(static_cast<char>(i * i / 7 + i));
    ASSERT_EQ(write(fd_, bytes_.data(), bytes_.size()), static_cast<ssize_t>(bytes_.size()));
  }
  void TearDown() override { close(fd_); }

  // Reads pieces of 40 bytes, a first part of 33 and a second of 7, from `offsets`; gives the
  // results after having looked at the bytes.
  std::vector<ssize_t> Read(CachedReader& reader, int fd, const std::vector<off_t>& offsets) const {
    std::string out(offsets.size() * 40, '\0');
    std::vector<CachedRead> reads(offsets.size());
    for (size_t i = 0; i < reads.size(); ++i) {
      reads[i] = {.offset = offsets[i], .parts = {{{&out[i * 40], 33}, {&out[i * 40 + 33], 7}}}};
    }
    reader.Read(fd, reads);
    std::vector<ssize_t> results;
    for (size_t i = 0; i < reads.size(); ++i) {
      results.push_back(reads[i].result);
      if (results[i] <= 0) continue;
      const auto n = static_cast<size_t>(results[i]);
      EXPECT_EQ(out.substr(i * 40, n), bytes_.substr(static_cast<size_t>(offsets[i]), n)) << i;
    }
    return results;
  }
  using Results = std::vector<ssize_t>;

  static std::vector<off_t> Offsets(size_t count) {
    std::vector<off_t> offsets;
    for (size_t i = 0; i < count; ++i) {
      offsets.push_back(static_cast<off_t>(i * 7'919 % (kFileBytes - 40)));
    }
    return offsets;
  }

  TempDir dir_;
  int fd_ = -1;
  std::string bytes_;
};

TEST_F(CachedReaderTest, ReadsAnyNumber) {
  CachedReader reader;
  for (const size_t count : {0, 1, 3, 4, 5, 127, 128, 129, 255, 256, 257, 3'000}) {
    EXPECT_EQ(Read(reader, fd_, Offsets(count)), Results(count, 40)) << count;
  }
}

TEST_F(CachedReaderTest, ReadsWithoutAQueue) {
  CachedReader reader(0);
  EXPECT_EQ(Read(reader, fd_, Offsets(300)), Results(300, 40));
}

TEST_F(CachedReaderTest, SaysWhatIsNotThere) {
  for (const size_t queues : {0, 1}) {
    CachedReader reader(queues);
    std::vector<off_t> offsets = Offsets(200);
    Results expected(200, 40);
    offsets[7] = kFileBytes;
    expected[7] = 0;
    offsets[8] = kFileBytes - 35;
    expected[8] = 35;
    offsets[150] = kFileBytes - 1;
    expected[150] = 1;
    EXPECT_EQ(Read(reader, fd_, offsets), expected) << queues;
  }
}

TEST_F(CachedReaderTest, ReadsThatFailLeaveTheOthers) {
  for (const size_t queues : {0, 1}) {
    CachedReader reader(queues);
    std::vector<off_t> offsets = Offsets(200);
    Results expected(200, 40);
    for (const size_t i : {0, 99, 199}) {
      offsets[i] = -2;
      expected[i] = -1;
    }
    Results results = Read(reader, fd_, offsets);
    for (ssize_t& result : results) result = std::max<ssize_t>(result, -1);
    EXPECT_EQ(results, expected) << queues;
    const Results closed = Read(reader, -1, Offsets(200));
    EXPECT_LT(*std::max_element(closed.begin(), closed.end()), 0) << queues;
    EXPECT_EQ(Read(reader, fd_, Offsets(200)), Results(200, 40)) << queues;
  }
}

TEST_F(CachedReaderTest, DoesNotWaitForTheDisk) {
  DropFromPageCache(dir_.path() + "/file");
  CachedReader reader;
  // In a file system that lives in memory, all is in the page cache.
  for (const ssize_t result : Read(reader, fd_, Offsets(200))) {
    EXPECT_TRUE(result < 0 || result == 40) << result;
  }
}

TEST_F(CachedReaderTest, ManyThreadsShareFewQueues) {
  CachedReader reader(2);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        EXPECT_EQ(Read(reader, fd_, Offsets(200)), Results(200, 40));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tessera
