#ifndef TESSERA_SERVER_ENGINE_VIEW_EPOCHS_H_
#define TESSERA_SERVER_ENGINE_VIEW_EPOCHS_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

namespace tessera {

// Numbers the views of a collection, and knows which is the oldest that a search still holds.
//
// The writer's, who serialises all calls; only a token may be destroyed by any thread. Readers
// take no lock: whoever drops the last reference to a view destroys its token, which says so.
class ViewEpochs {
 public:
  // Part of a view, destroyed with it.
  class Token {
   public:
    explicit Token(std::shared_ptr<std::atomic<bool>> released) : released_(std::move(released)) {}
    ~Token() { released_->store(true, std::memory_order_release); }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;

   private:
    std::shared_ptr<std::atomic<bool>> released_;
  };

  // The epoch of the view that will be opened next.
  uint64_t next() const { return next_; }

  std::unique_ptr<const Token> Open() {
    views_.push_back(std::make_shared<std::atomic<bool>>(false));
    ++next_;
    return std::make_unique<const Token>(views_.back());
  }

  // The lowest epoch whose view still exists; next() if there is none.
  uint64_t Oldest() {
    while (!views_.empty() && views_.front()->load(std::memory_order_acquire)) views_.pop_front();
    return next_ - views_.size();
  }

 private:
  std::deque<std::shared_ptr<std::atomic<bool>>> views_;  // the last is of epoch next_ - 1
  uint64_t next_ = 0;
};

}  // namespace tessera

#endif  // TESSERA_SERVER_ENGINE_VIEW_EPOCHS_H_
