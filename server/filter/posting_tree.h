#ifndef TESSERA_SERVER_FILTER_POSTING_TREE_H_
#define TESSERA_SERVER_FILTER_POSTING_TREE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/filter/posting.h"
#include "server/filter/slot_group.h"
#include "server/filter/slot_parts.h"

namespace tessera {

// An ordered map from values to the slots that have them: leaves of some values, and above them
// nodes of some leaves or nodes. The two lowest levels of nodes are groups of slots, so that a
// range is a few groups and values, however many values it has.
//
// Immutable and thread-safe. A changed tree shares what did not change with the old one, so a
// reader keeps the tree that it has, without a lock, while a writer publishes the next. A change
// copies the leaves that it touches, and what is above them.
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
    if (root_ == nullptr) return PostingTree(added);
    Row<Node> top;
    AppendChanged(*root_, removed, added, &top);
    return PostingTree(std::move(top));
  }

  // The tree without these slots, whatever values they have.
  PostingTree Without(const Roaring& slots) const {
    if (root_ == nullptr) return {};
    Row<Node> top;
    AppendWithout(*root_, slots, &top);
    return PostingTree(std::move(top));
  }

  const Posting* Find(const Key& key) const {
    if (root_ == nullptr) return nullptr;
    const Node* node = root_.get();
    while (node->level > 1) node = node->nodes[ChildOf(node->nodes, key)].child.get();
    const Leaf& leaf = *node->leaves[ChildOf(node->leaves, key)].child;
    const auto at = std::lower_bound(leaf.keys.begin(), leaf.keys.end(), key);
    if (at == leaf.keys.end() || *at != key) return nullptr;
    return &leaf.postings[static_cast<size_t>(at - leaf.keys.begin())];
  }

  // Adds the slots of the keys between those for which `before` is true, which come first, and
  // those for which `after` is true, which come last. The parts have a slot in common only if the
  // slot has several keys.
  template <class Before, class After>
  void AddRange(const Before& before, const After& after, SlotParts* slots) const {
    if (root_ != nullptr) AddChildren(*root_, true, true, before, after, slots);
  }

  // Calls visit(key, posting) in the order of keys.
  template <class Visit>
  void ForEach(const Visit& visit) const {
    Walk(/*descending=*/false, /*from=*/nullptr, /*within=*/nullptr,
         [&](const Key& key, const Posting& posting) {
           visit(key, posting);
           return true;
         });
  }

  // Calls visit(key, posting) for the keys from *from on (null: all), up or down, until it returns
  // false. With `within`, may pass over values that none of those slots has.
  template <class Visit>
  void Walk(bool descending, const Key* from, const Roaring* within, const Visit& visit) const {
    if (root_ == nullptr) return;
    if (descending) {
      WalkDown(*root_, from, within, visit);
    } else {
      WalkUp(*root_, from, within, visit);
    }
  }

  // Pairs of a key and a slot.
  uint64_t entries() const { return root_ == nullptr ? 0 : root_->size(); }

  size_t memory_bytes() const { return root_ == nullptr ? 0 : root_->memory_bytes(); }

 private:
  // Small leaves, because a change copies all of a leaf for one of its values; and so many to a
  // node that its union is worth its bytes.
  static constexpr size_t kLeafKeys = 32;
  static constexpr size_t kNodeChildren = 16;
  // A union of still more would be made anew after every change, for hardly less work.
  static constexpr size_t kGroupLevels = 2;

  // A part of a node or of the tree. What is needed to pass it over is here, so that it is not
  // read then.
  template <class Child>
  struct Ref {
    Key first;
    uint64_t size = 0;  // sizes of the postings
    std::shared_ptr<const Child> child;
  };
  template <class Child>
  using Row = std::vector<Ref<Child>>;

  struct Leaf final : SlotGroup {
    std::vector<Key> keys;
    std::vector<Posting> postings;

    void Append(const Key& key, Posting posting) {
      keys.push_back(key);
      postings.push_back(std::move(posting));
    }
    void Append(const Leaf& other, size_t begin, size_t end) {
      const auto at = [](const auto& list, size_t i) {
        return list.begin() + static_cast<std::ptrdiff_t>(i);
      };
      keys.insert(keys.end(), at(other.keys, begin), at(other.keys, end));
      postings.insert(postings.end(), at(other.postings, begin), at(other.postings, end));
    }
    uint64_t size() const {
      uint64_t size = 0;
      for (const Posting& posting : postings) size += posting.size();
      return size;
    }
    size_t memory_bytes() const {
      size_t bytes = sizeof(Leaf) + keys.capacity() * sizeof(Key) +
                     (postings.capacity() - postings.size()) * sizeof(Posting);
      for (const Posting& posting : postings) bytes += posting.memory_bytes();
      return bytes;
    }

    void AddTo(SlotParts* parts) const override {
      for (const Posting& posting : postings) parts->Add(posting);
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
      changed.keys.reserve(keys.size() + added.size());
      changed.postings.reserve(keys.size() + added.size());
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
      while (!removed.empty() || !added.empty()) {
        const bool next_is_removed =
            added.empty() || (!removed.empty() && removed.front().first < added.front().first);
        const Key& key = next_is_removed ? removed.front().first : added.front().first;
        const size_t begin = k;
        while (k < keys.size() && keys[k] < key) ++k;
        changed.Append(*this, begin, k);
        // Entries to remove that were never there do nothing.
        Posting posting = k < keys.size() && keys[k] == key ? postings[k++] : Posting();
        take(removed, key, &out);
        take(added, key, &in);
        posting = posting.With(in, out);
        if (!posting.empty()) changed.Append(key, std::move(posting));
      }
      changed.Append(*this, k, keys.size());
      return changed;
    }
  };

  // Has leaves, or nodes of the level below.
  struct Node final : SharedSlotGroup {
    explicit Node(Row<Leaf> row) : level(1), leaves(std::move(row)) {}
    explicit Node(Row<Node> row) : level(row[0].child->level + 1), nodes(std::move(row)) {}

    const Key& first() const { return level == 1 ? leaves[0].first : nodes[0].first; }
    uint64_t size() const {
      uint64_t size = 0;
      for (const auto& ref : leaves) size += ref.size;
      for (const auto& ref : nodes) size += ref.size;
      return size;
    }
    size_t memory_bytes() const {
      size_t bytes = sizeof(Node) + leaves.capacity() * sizeof(Ref<Leaf>) +
                     nodes.capacity() * sizeof(Ref<Node>);
      for (const auto& ref : leaves) bytes += ref.child->memory_bytes();
      for (const auto& ref : nodes) bytes += ref.child->memory_bytes();
      if (const auto all = this->KnownUnion()) bytes += all->getSizeInBytes();
      return bytes;
    }
    void AddPartsTo(SlotParts* parts) const override {
      for (const auto& ref : leaves) ref.child->AddTo(parts);
      for (const auto& ref : nodes) {
        if (const auto all = ref.child->KnownUnion()) {
          parts->Add(*all);  // which the node keeps
        } else {
          ref.child->AddPartsTo(parts);
        }
      }
    }

    const size_t level;
    const Row<Leaf> leaves;
    const Row<Node> nodes;
  };

  // Of the nodes that hold all keys, in order.
  explicit PostingTree(Row<Node> top) {
    while (top.size() > 1) {
      Row<Node> above;
      AppendNodes(std::move(top), &above);
      top = std::move(above);
    }
    if (top.empty()) return;
    root_ = std::move(top[0].child);
    while (root_->nodes.size() == 1) root_ = std::shared_ptr<const Node>(root_->nodes[0].child);
  }

  // The child that has the key, if one does.
  template <class Child>
  static size_t ChildOf(const Row<Child>& row, const Key& key) {
    const auto end = std::partition_point(row.begin(), row.end(),
                                          [&](const auto& ref) { return !(key < ref.first); });
    return end == row.begin() ? 0 : static_cast<size_t>(end - row.begin()) - 1;
  }

  // Takes the entries before a key (null: all) off the front of the rest.
  static std::span<const Entry> TakeBefore(const Key* key, std::span<const Entry>* rest) {
    if (key == nullptr || rest->empty()) return std::exchange(*rest, {});
    const auto end = std::partition_point(rest->begin(), rest->end(),
                                          [key](const Entry& entry) { return entry.first < *key; });
    const auto head = rest->first(static_cast<size_t>(end - rest->begin()));
    *rest = rest->subspan(head.size());
    return head;
  }

  // Appends what becomes of a node.
  static void AppendChanged(const Node& node, std::span<const Entry> removed,
                            std::span<const Entry> added, Row<Node>* to) {
    if (node.level == 1) {
      AppendNodes(ChangedRow(node.leaves, removed, added), to);
    } else {
      AppendNodes(ChangedRow(node.nodes, removed, added), to);
    }
  }

  template <class Child>
  static Row<Child> ChangedRow(const Row<Child>& row, std::span<const Entry> removed,
                               std::span<const Entry> added) {
    Row<Child> changed;
    changed.reserve(row.size() + 1);
    for (size_t i = 0; i < row.size(); ++i) {
      // A child takes what lies before the first key of the next; the last takes the rest.
      const Key* next = i + 1 < row.size() ? &row[i + 1].first : nullptr;
      const std::span<const Entry> out = TakeBefore(next, &removed);
      const std::span<const Entry> in = TakeBefore(next, &added);
      if (out.empty() && in.empty()) {
        changed.push_back(row[i]);
      } else if constexpr (std::is_same_v<Child, Leaf>) {
        AppendLeaf(row[i].child->With(out, in), &changed);
      } else {
        AppendChanged(*row[i].child, out, in, &changed);
      }
    }
    return changed;
  }

  // Appends what is left of a node without these slots.
  static void AppendWithout(const Node& node, const Roaring& slots, Row<Node>* to) {
    if (node.level == 1) {
      Row<Leaf> row;
      for (const Ref<Leaf>& ref : node.leaves) {
        Leaf left = ref.child->Without(slots);
        if (left.size() == ref.size) {
          row.push_back(ref);
        } else {
          AppendLeaf(std::move(left), &row);
        }
      }
      return AppendNodes(std::move(row), to);
    }
    Row<Node> row;
    for (const Ref<Node>& ref : node.nodes) {
      const auto all = ref.child->KnownUnion();
      if (all != nullptr && !all->intersect(slots)) {
        row.push_back(ref);
      } else {
        AppendWithout(*ref.child, slots, &row);
      }
    }
    AppendNodes(std::move(row), to);
  }

  // In parts if it is too large, and as one with the last if both are small.
  static void AppendLeaf(Leaf leaf, Row<Leaf>* to) {
    if (leaf.keys.empty()) return;
    if (!to->empty() && to->back().child->keys.size() + leaf.keys.size() <= kLeafKeys / 2) {
      Leaf both = *to->back().child;
      both.Append(leaf, 0, leaf.keys.size());
      to->pop_back();
      leaf = std::move(both);
    }
    const size_t count = leaf.keys.size();
    const size_t parts = (count + kLeafKeys - 1) / kLeafKeys;
    for (size_t p = 0; p < parts; ++p) {
      Leaf part;
      if (parts == 1) {
        part = std::move(leaf);
      } else {
        part.Append(leaf, count * p / parts, count * (p + 1) / parts);
      }
      part.keys.shrink_to_fit();
      part.postings.shrink_to_fit();
      Ref<Leaf> ref{part.keys.front(), part.size(), nullptr};
      ref.child = std::make_shared<const Leaf>(std::move(part));
      to->push_back(std::move(ref));
    }
  }

  // Puts children into nodes, all about as large; with those of the last if both are few.
  template <class Child>
  static void AppendNodes(Row<Child> row, Row<Node>* to) {
    if (row.empty()) return;
    if (!to->empty()) {
      const Row<Child>* last = nullptr;
      if constexpr (std::is_same_v<Child, Leaf>) {
        last = &to->back().child->leaves;
      } else {
        last = &to->back().child->nodes;
      }
      if (last->size() + row.size() <= kNodeChildren / 2) {
        row.insert(row.begin(), last->begin(), last->end());
        to->pop_back();
      }
    }
    const size_t count = row.size();
    const size_t parts = (count + kNodeChildren - 1) / kNodeChildren;
    for (size_t p = 0; p < parts; ++p) {
      const auto at = [&](size_t i) {
        return std::make_move_iterator(row.begin() + static_cast<std::ptrdiff_t>(i));
      };
      auto node = std::make_shared<const Node>(
          Row<Child>(at(count * p / parts), at(count * (p + 1) / parts)));
      Ref<Node> ref{node->first(), node->size(), nullptr};
      ref.child = std::move(node);
      to->push_back(std::move(ref));
    }
  }

  // Of a node that may have keys before the range, and after it.
  template <class Before, class After>
  static void AddChildren(const Node& node, bool some_before, bool some_after, const Before& before,
                          const After& after, SlotParts* slots) {
    const auto add = [&](const auto& row, const auto& add_child) {
      size_t begin = 0;
      size_t end = row.size();
      const auto index = [&](auto it) { return static_cast<size_t>(it - row.begin()); };
      if (some_before) {
        // The last child that begins before the range may reach into it.
        const auto first = std::partition_point(row.begin(), row.end(),
                                                [&](const auto& ref) { return before(ref.first); });
        begin = first == row.begin() ? 0 : index(first) - 1;
        some_before = first != row.begin();
      }
      if (some_after) {
        end =
            index(std::partition_point(row.begin() + static_cast<std::ptrdiff_t>(begin), row.end(),
                                       [&](const auto& ref) { return !after(ref.first); }));
      }
      for (size_t i = begin; i < end; ++i) {
        add_child(row[i], some_before && i == begin, some_after && i + 1 == end);
      }
    };
    if (node.level == 1) {
      add(node.leaves, [&](const Ref<Leaf>& ref, bool below, bool above) {
        if (!below && !above) return slots->Add(*ref.child, ref.size);
        const auto& keys = ref.child->keys;
        const auto first =
            below ? std::partition_point(keys.begin(), keys.end(), before) : keys.begin();
        const auto last = above ? std::partition_point(first, keys.end(),
                                                       [&](const Key& key) { return !after(key); })
                                : keys.end();
        for (auto k = first; k != last; ++k) {
          slots->Add(ref.child->postings[static_cast<size_t>(k - keys.begin())]);
        }
      });
      return;
    }
    add(node.nodes, [&](const Ref<Node>& ref, bool below, bool above) {
      if (!below && !above && node.level <= kGroupLevels + 1) {
        slots->Add(*ref.child, ref.size);
      } else {
        AddChildren(*ref.child, below, above, before, after, slots);
      }
    });
  }

  // Whether none of the slots is known to be in a node.
  static bool HasNone(const Node& node, const Roaring* within) {
    if (within == nullptr || node.level > 1) return false;
    const Roaring* all = node.Union();
    return all != nullptr && !all->intersect(*within);
  }

  // False if `visit` has returned false.
  template <class Visit>
  static bool WalkUp(const Node& node, const Key* from, const Roaring* within, const Visit& visit) {
    if (HasNone(node, within)) return true;
    for (size_t i = from == nullptr ? 0 : ChildOf(node.nodes, *from); i < node.nodes.size(); ++i) {
      if (!WalkUp(*node.nodes[i].child, from, within, visit)) return false;
    }
    for (size_t i = from == nullptr ? 0 : ChildOf(node.leaves, *from); i < node.leaves.size();
         ++i) {
      const Leaf& leaf = *node.leaves[i].child;
      for (size_t k = 0; k < leaf.keys.size(); ++k) {
        if (from != nullptr && leaf.keys[k] < *from) continue;
        if (!visit(leaf.keys[k], leaf.postings[k])) return false;
      }
    }
    return true;
  }

  template <class Visit>
  static bool WalkDown(const Node& node, const Key* from, const Roaring* within,
                       const Visit& visit) {
    if (HasNone(node, within)) return true;
    const auto end = [&](const auto& row) {
      return from == nullptr ? row.size() : std::min(row.size(), ChildOf(row, *from) + 1);
    };
    for (size_t i = end(node.nodes); i-- > 0;) {
      if (!WalkDown(*node.nodes[i].child, from, within, visit)) return false;
    }
    for (size_t i = end(node.leaves); i-- > 0;) {
      const Leaf& leaf = *node.leaves[i].child;
      for (size_t k = leaf.keys.size(); k-- > 0;) {
        if (from != nullptr && *from < leaf.keys[k]) continue;
        if (!visit(leaf.keys[k], leaf.postings[k])) return false;
      }
    }
    return true;
  }

  std::shared_ptr<const Node> root_;  // null if there are no keys
};

template <class Key>
class PostingTree<Key>::Builder {
 public:
  // `key` comes after all others; the posting is not empty.
  void Append(const Key& key, Posting posting) {
    leaf_.Append(key, std::move(posting));
    if (leaf_.keys.size() == kFilled) AppendLeaf(std::exchange(leaf_, Leaf()), &leaves_);
  }
  PostingTree Finish() {
    AppendLeaf(std::exchange(leaf_, Leaf()), &leaves_);
    Row<Node> nodes;
    AppendNodes(std::exchange(leaves_, {}), &nodes);
    return PostingTree(std::move(nodes));
  }

 private:
  // So that the first changes do not split all leaves.
  static constexpr size_t kFilled = kLeafKeys * 3 / 4;

  Leaf leaf_;
  Row<Leaf> leaves_;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_FILTER_POSTING_TREE_H_
