#ifndef TESSERA_SERVER_FILTER_POSTING_TREE_H_
#define TESSERA_SERVER_FILTER_POSTING_TREE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <utility>
#include <vector>

#include "server/filter/made_once.h"
#include "server/filter/posting.h"
#include "server/filter/slot_parts.h"

namespace tessera {

// An ordered map from values to the slots that have them: leaves of some hundred values, and
// branches of some leaves, each with the union of its slots, so that a range is a few bitmaps,
// however many values it has. The union of a branch is made for the first range that asks for it.
//
// Immutable and thread-safe. A changed tree shares the leaves that did not change with the old one,
// so a reader keeps the tree that it has, without a lock, while a writer publishes the next.
template <class Key>
class PostingTree {
 public:
  using Entry = std::pair<Key, Slot>;

  PostingTree() = default;
  // `entries` are sorted; an entry may come more than once.
  explicit PostingTree(std::span<const Entry> entries) {
    Builder builder;
    std::vector<Slot> slots;
    for (size_t i = 0; i < entries.size();) {
      const size_t begin = i;
      slots.clear();
      for (; i < entries.size() && entries[i].first == entries[begin].first; ++i) {
        if (slots.empty() || slots.back() != entries[i].second) slots.push_back(entries[i].second);
      }
      builder.Append(entries[begin].first, Posting(slots));
    }
    *this = builder.Finish();
  }
  // Makes a tree of keys that come in order, with the slots of each.
  class Builder;

  // The tree without `removed` and then with `added`; both are sorted.
  PostingTree With(std::span<const Entry> removed, std::span<const Entry> added) const {
    if (leaves_.empty()) return PostingTree(added);
    PostingTree changed;
    changed.leaves_.reserve(leaves_.size() + 1);
    size_t i = 0;
    for (const auto& branch : branches_) {
      const size_t first = changed.leaves_.size();
      bool same = true;
      for (const size_t end = i + branch->leaves.size(); i < end; ++i) {
        // A leaf takes what lies before the first key of the next; the last takes the rest.
        const Key* next = i + 1 < leaves_.size() ? &leaves_[i + 1]->keys.front() : nullptr;
        const std::span<const Entry> out = TakeBefore(next, &removed);
        const std::span<const Entry> in = TakeBefore(next, &added);
        if (out.empty() && in.empty()) {
          changed.leaves_.push_back(leaves_[i]);
        } else {
          changed.AppendSplit(leaves_[i]->With(out, in));
          same = false;
        }
      }
      if (same) {
        changed.branches_.push_back(branch);
      } else {
        changed.AppendBranches(first);
      }
    }
    return changed;
  }

  // The tree without these slots, whatever values they have.
  PostingTree Without(const Roaring& slots) const {
    PostingTree changed;
    for (const auto& branch : branches_) {
      const size_t first = changed.leaves_.size();
      bool same = true;
      for (const auto& leaf : branch->leaves) {
        if (!leaf->all.intersect(slots)) {
          changed.leaves_.push_back(leaf);
        } else {
          changed.AppendLeaf(leaf->Without(slots));
          same = false;
        }
      }
      if (same) {
        changed.branches_.push_back(branch);
      } else {
        changed.AppendBranches(first);
      }
    }
    return changed;
  }

  const Posting* Find(const Key& key) const {
    const size_t i = LeafOf([&](const Key& other) { return other < key; });
    if (i == leaves_.size()) return nullptr;
    const auto& keys = leaves_[i]->keys;
    const auto at = std::lower_bound(keys.begin(), keys.end(), key);
    if (at == keys.end() || *at != key) return nullptr;
    return &leaves_[i]->postings[static_cast<size_t>(at - keys.begin())];
  }

  // Adds the slots of the keys between those for which `before` is true, which come first, and
  // those for which `after` is true, which come last. The parts have a slot in common only if the
  // slot has several keys.
  template <class Before, class After>
  void AddRange(const Before& before, const After& after, SlotParts* slots) const {
    auto branch = std::partition_point(branches_.begin(), branches_.end(), [&](const auto& b) {
      return before(b->leaves.back()->keys.back());
    });
    for (; branch != branches_.end(); ++branch) {
      const auto& leaves = (*branch)->leaves;
      if (after(leaves.front()->keys.front())) return;
      if (!before(leaves.front()->keys.front()) && !after(leaves.back()->keys.back())) {
        slots->Add((*branch)->All());
        continue;
      }
      for (const auto& leaf : leaves) {
        if (!before(leaf->keys.front()) && !after(leaf->keys.back())) {
          slots->Add(leaf->all);
          continue;
        }
        const auto& keys = leaf->keys;
        const auto first = std::partition_point(keys.begin(), keys.end(), before);
        const auto last =
            std::partition_point(first, keys.end(), [&](const Key& key) { return !after(key); });
        for (auto k = first; k != last; ++k) {
          slots->Add(leaf->postings[static_cast<size_t>(k - keys.begin())]);
        }
      }
    }
  }

  // Calls visit(key, posting) in the order of keys.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    for (const auto& leaf : leaves_) {
      for (size_t k = 0; k < leaf->keys.size(); ++k) visit(leaf->keys[k], leaf->postings[k]);
    }
  }

  // Calls visit(key, posting) for the keys from *from on (null: all), up or down, until it returns
  // false. Passes over leaves without a slot of *within (null: all have).
  template <class Visit>
  void Walk(bool descending, const Key* from, const Roaring* within, const Visit& visit) const {
    if (descending) return WalkDown(from, within, visit);
    const size_t begin =
        from == nullptr ? 0 : LeafOf([from](const Key& key) { return key < *from; });
    for (size_t i = begin; i < leaves_.size(); ++i) {
      const Leaf& leaf = *leaves_[i];
      if (within != nullptr && !leaf.all.intersect(*within)) continue;
      for (size_t k = 0; k < leaf.keys.size(); ++k) {
        if (from != nullptr && leaf.keys[k] < *from) continue;
        if (!visit(leaf.keys[k], leaf.postings[k])) return;
      }
    }
  }

  // Pairs of a key and a slot.
  uint64_t entries() const {
    uint64_t entries = 0;
    for (const auto& leaf : leaves_) entries += leaf->entries;
    return entries;
  }

  size_t memory_bytes() const {
    size_t bytes = 0;
    for (const auto& leaf : leaves_) {
      bytes += sizeof(Leaf) + leaf->keys.capacity() * sizeof(Key) + leaf->all.getSizeInBytes();
      for (const Posting& posting : leaf->postings) bytes += posting.memory_bytes();
    }
    for (const auto& branch : branches_) {
      bytes += sizeof(Branch) + branch->leaves.capacity() * sizeof(branch->leaves[0]);
      if (const auto all = branch->all.Known()) bytes += all->getSizeInBytes();
    }
    return bytes;
  }

 private:
  static constexpr size_t kLeafKeys = 512;
  static constexpr size_t kBranchLeaves = 32;

  struct Leaf {
    std::vector<Key> keys;
    std::vector<Posting> postings;
    Roaring all;
    uint64_t entries = 0;  // sizes of the postings

    void Append(const Key& key, Posting posting) {
      keys.push_back(key);
      postings.push_back(std::move(posting));
    }

    Leaf Without(const Roaring& slots) const {
      Leaf changed;
      for (size_t k = 0; k < keys.size(); ++k) {
        Posting posting = postings[k].Without(slots);
        if (!posting.empty()) changed.Append(keys[k], std::move(posting));
      }
      return changed;
    }

    Leaf With(std::span<const Entry> removed, std::span<const Entry> added) const {
      Leaf changed;
      std::vector<Slot> out;
      std::vector<Slot> in;
      const auto take = [](std::span<const Entry>& rest, const Key& key, std::vector<Slot>* slots) {
        slots->clear();
        while (!rest.empty() && rest.front().first == key) {
          slots->push_back(rest.front().second);
          rest = rest.subspan(1);
        }
      };
      size_t k = 0;
      while (k < keys.size() || !added.empty()) {
        // Entries to remove that were never there are passed over.
        const bool have = k < keys.size() && (added.empty() || !(added.front().first < keys[k]));
        const Key key = have ? keys[k] : added.front().first;
        while (!removed.empty() && removed.front().first < key) removed = removed.subspan(1);
        take(removed, key, &out);
        take(added, key, &in);
        Posting posting = have ? postings[k++] : Posting();
        if (!out.empty() || !in.empty()) posting = posting.With(in, out);
        if (!posting.empty()) changed.Append(key, std::move(posting));
      }
      return changed;
    }
  };

  struct Branch {
    std::vector<std::shared_ptr<const Leaf>> leaves;
    MadeOnce<Roaring> all;

    const Roaring& All() const {
      if (leaves.size() == 1) return leaves[0]->all;
      return *all.Get([this] {
        SlotParts parts;
        for (const auto& leaf : leaves) parts.Add(leaf->all);
        return std::make_shared<const Roaring>(parts.Union());
      });
    }
  };

  // Takes the entries before a key (null: all) off the front of the rest.
  static std::span<const Entry> TakeBefore(const Key* key, std::span<const Entry>* rest) {
    if (key == nullptr) return std::exchange(*rest, {});
    const auto end = std::partition_point(rest->begin(), rest->end(),
                                          [key](const Entry& entry) { return entry.first < *key; });
    const auto head = rest->first(static_cast<size_t>(end - rest->begin()));
    *rest = rest->subspan(head.size());
    return head;
  }

  // The first leaf that holds a key for which `before` is false.
  template <class Before>
  size_t LeafOf(const Before& before) const {
    return static_cast<size_t>(
        std::partition_point(leaves_.begin(), leaves_.end(),
                             [&](const auto& leaf) { return before(leaf->keys.back()); }) -
        leaves_.begin());
  }

  template <class Visit>
  void WalkDown(const Key* from, const Roaring* within, const Visit& visit) const {
    const auto end = from == nullptr
                         ? leaves_.end()
                         : std::partition_point(leaves_.begin(), leaves_.end(), [&](auto& leaf) {
                             return !(*from < leaf->keys.front());
                           });
    for (auto it = end; it != leaves_.begin();) {
      const Leaf& leaf = **--it;
      if (within != nullptr && !leaf.all.intersect(*within)) continue;
      for (size_t k = leaf.keys.size(); k-- > 0;) {
        if (from != nullptr && *from < leaf.keys[k]) continue;
        if (!visit(leaf.keys[k], leaf.postings[k])) return;
      }
    }
  }

  void AppendLeaf(Leaf leaf) {
    if (leaf.keys.empty()) return;
    for (const Posting& posting : leaf.postings) {
      posting.AddTo(&leaf.all);
      leaf.entries += posting.size();
    }
    leaves_.push_back(std::make_shared<const Leaf>(std::move(leaf)));
  }

  void AppendSplit(Leaf leaf) {
    if (leaf.keys.size() <= kLeafKeys) return AppendLeaf(std::move(leaf));
    Leaf part;
    for (size_t k = 0; k < leaf.keys.size(); ++k) {
      part.Append(leaf.keys[k], std::move(leaf.postings[k]));
      if (part.keys.size() == kLeafKeys / 2) AppendLeaf(std::exchange(part, Leaf()));
    }
    AppendLeaf(std::move(part));
  }

  // Puts the leaves from `first` on into branches, all about as large.
  void AppendBranches(size_t first) {
    const size_t count = leaves_.size() - first;
    const size_t branches = (count + kBranchLeaves - 1) / kBranchLeaves;
    for (size_t b = 0; b < branches; ++b) {
      const auto at = [&](size_t i) {
        return leaves_.begin() + static_cast<std::ptrdiff_t>(first + count * i / branches);
      };
      auto branch = std::make_shared<Branch>();
      branch->leaves.assign(at(b), at(b + 1));
      branches_.push_back(std::move(branch));
    }
  }

  std::vector<std::shared_ptr<const Leaf>> leaves_;
  std::vector<std::shared_ptr<const Branch>> branches_;  // of leaves_, in their order
};

template <class Key>
class PostingTree<Key>::Builder {
 public:
  // `key` comes after all others; the posting is not empty.
  void Append(const Key& key, Posting posting) {
    leaf_.Append(key, std::move(posting));
    if (leaf_.keys.size() == kLeafKeys / 2) tree_.AppendLeaf(std::exchange(leaf_, Leaf()));
  }
  PostingTree Finish() {
    tree_.AppendLeaf(std::exchange(leaf_, Leaf()));
    tree_.AppendBranches(0);
    return std::exchange(tree_, PostingTree());
  }

 private:
  PostingTree tree_;
  Leaf leaf_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_POSTING_TREE_H_
