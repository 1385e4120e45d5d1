// The threads of one evaluation: started and joined by it, so that nothing outlives it, not even a fork.
#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace mlff {

/// All threads wait until the last one is there.
class Barrier {
   public:
    explicit Barrier(int count) : count_(count) {}
    void wait() {
        if (count_ == 1) return;
        std::unique_lock<std::mutex> guard(lock_);
        const long round = round_;
        if (++there_ == count_) {
            there_ = 0;
            round_++;
            all_.notify_all();
            return;
        }
        all_.wait(guard, [&] { return round_ != round; });
    }

   private:
    const int count_;
    int there_ = 0;
    long round_ = 0;
    std::mutex lock_;
    std::condition_variable all_;
};

/// f(rank) in `count` threads, of which this one is the first.
template <class F>
void in_parallel(int count, F f) {
    std::vector<std::thread> others;
    for (int rank = 1; rank < count; rank++) others.emplace_back(f, rank);
    f(0);
    for (auto& thread : others) thread.join();
}

}  // namespace mlff
