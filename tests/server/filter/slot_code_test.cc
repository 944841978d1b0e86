#include "server/filter/slot_code.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/escaping.h"
#include "server/filter/slots_of.h"

namespace tessera {
namespace {

constexpr uint64_t kEnd = 0xFFFF'FF00;

std::string Encoded(std::span<const Slot> slots) {
  std::string bytes, all;
  EncodeSlots(slots, &all);
  EncodeSlots(&slots, 1 << 20, &bytes);
  EXPECT_TRUE(slots.empty());
  EXPECT_EQ(all, bytes);
  return bytes;
}

std::string Hex(const std::string& bytes) { return absl::BytesToHexString(bytes); }

TEST(SlotCode, GoldenBytes) {
  EXPECT_EQ(Hex(Encoded(std::vector<Slot>{})), "");
  EXPECT_EQ(Hex(Encoded(std::vector<Slot>{0, 1, 2, 5, 200})), "000000048403");
  std::vector<Slot> run;
  for (Slot slot = 3; slot < 303; ++slot) run.push_back(slot);
  run.push_back(1'000);
  EXPECT_EQ(Hex(Encoded(run)), "07ac02f20a");
}

TEST(SlotCode, VarintsOfAllLengthsComeBack) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const uint64_t number : {uint64_t{1} << shift, (uint64_t{1} << shift) - 1}) {
      std::string bytes;
      AppendVarint(number, &bytes);
      ByteReader reader(bytes);
      uint64_t read = 0;
      ASSERT_TRUE(ReadVarint(reader, &read));
      EXPECT_EQ(read, number);
      EXPECT_TRUE(reader.AtEnd());
      ByteReader cut(std::string_view(bytes).substr(0, bytes.size() - 1));
      EXPECT_FALSE(ReadVarint(cut, &read));
    }
  }
  ByteReader endless(std::string_view("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"));
  uint64_t read = 0;
  EXPECT_FALSE(ReadVarint(endless, &read)) << "beyond 64 bits";
}

// Sets with runs and gaps of all sizes, whole and in small pieces, with and without some slots.
TEST(SlotCode, RandomSetsComeBack) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    Roaring set;
    uint64_t slot = random() % 3 == 0 ? 0 : random();
    for (size_t n = random() % 40; n > 0 && slot < kEnd - 100; --n) {
      const uint64_t run = random() % 2 == 0 ? 1 : random() % 60;
      set.addRange(slot, slot + run);
      slot += run + (random() % 4 == 0 ? random() : random() % 300);
    }
    Roaring without;
    if (round % 2 == 1) {
      for (const Slot member : set) {
        if (random() % 3 == 0) without.add(member);
      }
    }
    const std::vector<Slot> slots = SlotsOf(set);
    DecodedSlots decoded(kEnd);
    for (std::span<const Slot> rest = slots; !rest.empty();) {
      std::string piece;
      EncodeSlots(&rest, 1 + random() % 20, &piece);
      EXPECT_LE(piece.size(), 30u);
      ASSERT_TRUE(decoded.Add(piece));
    }
    EXPECT_EQ(decoded.empty(), slots.empty());
    if (round % 4 < 2) {
      EXPECT_EQ(decoded.TakeBitmap(without), set - without);
    } else {
      Roaring taken;
      decoded.TakePosting(without).AddTo(&taken);
      EXPECT_EQ(taken, set - without);
    }
    EXPECT_TRUE(decoded.empty());
    ASSERT_TRUE(decoded.Add(Encoded(std::vector<Slot>{0}))) << "and another set";
    EXPECT_EQ(decoded.TakePosting({}).few()[0], 0u);
  }
}

TEST(SlotCode, RefusesWhatIsNoSet) {
  const auto accepts = [](std::string_view bytes, uint64_t end) {
    DecodedSlots decoded(end);
    return decoded.Add(bytes);
  };
  EXPECT_TRUE(accepts(std::string_view("\x12", 1), 10));
  EXPECT_FALSE(accepts(std::string_view("\x14", 1), 10)) << "slot 10 of 10";
  EXPECT_TRUE(accepts(std::string_view("\x01\x0a", 2), 10));
  EXPECT_FALSE(accepts(std::string_view("\x01\x0b", 2), 10)) << "a run beyond the end";
  EXPECT_FALSE(accepts(std::string_view("\x01\x00", 2), 10)) << "an empty run";
  EXPECT_FALSE(accepts(std::string_view("\x01", 1), 10)) << "a run without its size";
  EXPECT_FALSE(accepts(std::string_view("\x80", 1), 10)) << "half a number";
  EXPECT_FALSE(accepts("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", kEnd)) << "far beyond";
  EXPECT_FALSE(accepts(std::string_view("\x00", 1), 0)) << "no slot is below 0";
  DecodedSlots decoded(10);
  ASSERT_TRUE(decoded.Add(Encoded(std::vector<Slot>{3})));
  EXPECT_FALSE(decoded.Add(Encoded(std::vector<Slot>{3}))) << "a piece that does not come after";
}

}  // namespace
}  // namespace tessera
