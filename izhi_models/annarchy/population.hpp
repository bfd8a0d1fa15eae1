// What all populations have in common: blocks of cells, their random numbers, their spikes.
//
// Cells are advanced in blocks that stay in the fastest cache. Each block has random numbers of its
// own, so that they are the same for any number of threads.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "random.hpp"
#include "values.hpp"

// A number for each cell. Where all are equal, every block reads those of the first, which stay in
// the fastest cache.
class Parameter {
    Values values;
    bool is_same = false;

  public:
    void assign(int size) { values.assign(size_t(size), real(0)); }

    // Before a run, as values are changed from outside; returns whether all are equal.
    bool prepare() {
        const real *first = values.data();
        is_same = std::memcmp(first, first + 1, (values.size() - 1) * sizeof(real)) == 0;
        return is_same;
    }

    const real *block(int begin) const { return values.data() + (is_same ? 0 : begin); }
    real operator[](int i) const { return values[size_t(i)]; }
    real *data() { return values.data(); }
    size_t size() const { return values.size(); }
};

struct Cells {
    const int size;
    std::vector<int> spiked;  // in this step, ascending
    std::vector<Generator> generators;

    Cells(int size, int n_parts) : size(size), found(static_cast<size_t>(n_parts)) {}
    virtual ~Cells() = default;

    virtual void prepare() = 0;

    void seed(uint64_t seed, int population) {
        const int n_blocks = (size + block_size - 1) / block_size;
        const uint64_t first = Generator(seed ^ (uint64_t(population) << 32)).next();
        generators.clear();
        for (int block = 0; block < n_blocks; ++block) generators.emplace_back(first + uint64_t(block));
    }

  protected:
    bool is_uniform = false;              // each parameter is equal in all cells
    std::vector<std::vector<int>> found;  // spikes of each part

    int first_block(int part) const {
        const int n_blocks = (size + block_size - 1) / block_size;
        return int(int64_t(n_blocks) * part / int64_t(found.size()));
    }

    // Resets the cells of a block that fire. Few do, so whole stretches are passed over.
    template <typename Reset>
    void gather(int part, int begin, int n, real (&fires)[block_size], Reset reset) {
        constexpr int stretch = 64;
        std::vector<int> &list = found.size() == 1 ? spiked : found[size_t(part)];
        std::fill(fires + n, fires + block_size, real(0));
        for (int first = 0; first < n; first += stretch) {
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int i = 0; i < stretch; ++i) sum += fires[first + i];
            if (sum == 0) continue;
            for (int i = first; i < first + stretch; ++i) {
                if (fires[i] == 0) continue;
                reset(i);
                list.push_back(begin + i);
            }
        }
    }

    void begin_spikes(int part) {
        if (found.size() == 1) spiked.clear();
        found[size_t(part)].clear();
    }

    // Every thread comes here.
    void join_spikes() {
        if (found.size() == 1) return;
#pragma omp barrier
#pragma omp single
        {
            spiked.clear();
            for (const auto &list : found) spiked.insert(spiked.end(), list.begin(), list.end());
        }
    }
};
