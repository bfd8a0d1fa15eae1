// The connections of a projection, and the spikes on their way to them.
//
// Connections are stored by presynaptic neuron. Each thread owns those to a contiguous range of
// postsynaptic neurons (a part): no two threads write to one neuron, and the input of a neuron is
// summed in the same order by any number of threads.
//
// What is done in every step is here, the rest in connections.cpp.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "values.hpp"

// An array of the caller, of 4- or 8-byte numbers; a single number stands for all connections.
struct Column {
    const void *data;
    int bytes;
    int64_t size;

    int64_t integer(int64_t i) const {
        if (size == 1) i = 0;
        return bytes == 4 ? ((const int32_t *)data)[i] : ((const int64_t *)data)[i];
    }

    // Throws if a finite number is too large for single precision.
    real number(int64_t i) const {
        if (size == 1) i = 0;
        const double value = bytes == 4 ? ((const float *)data)[i] : ((const double *)data)[i];
        const real result = real(value);
        if (std::isinf(result) && !std::isinf(value)) throw std::range_error("single precision");
        return result;
    }
};

// Connections in blocks, as they are given; a delay is a number of steps from 1.
struct Block {
    const Column pre, post, delays;
};

// How connections follow each other, as they are given.
struct Sequence {
    bool by_pre = true, by_post = true;  // each pair of neurons once, in this order
    bool by_row = true;                  // as they are stored
    bool one_delay = true;
    int64_t size = 0, longest_delay = 1;

    void add(int part, int64_t pre, int64_t post, int64_t delay) {
        if (size++ > 0) {
            by_pre = by_pre && (pre > last_pre || (pre == last_pre && post > last_post));
            by_post = by_post && (post > last_post || (post == last_post && pre > last_pre));
            by_row = by_row && (part > last_part || (part == last_part && pre >= last_pre));
            one_delay = one_delay && delay == last_delay;
        }
        longest_delay = std::max(longest_delay, delay);
        last_part = part, last_pre = pre, last_post = post, last_delay = delay;
    }

  private:
    int last_part = 0;
    int64_t last_pre = 0, last_post = 0, last_delay = 0;
};

// The connections numbered from `begin` to `end`, all of one neuron, which get a spike now.
struct Arrival {
    int pre, begin, end;
};

// A parameter or variable: one number, or one for each connection.
struct Member {
    real *single;
    Values *array;
    bool varies;
};

struct Connections {
    const int n_pre, n_post, n_parts;
    std::vector<Member> members;

    Connections(int n_pre, int n_post, int n_parts)
        : n_pre(n_pre), n_post(n_post), n_parts(n_parts), queues(size_t(n_parts), Queue(1)) {}
    virtual ~Connections() = default;

    int64_t size() const { return n_given; }

    // Replaces all connections. They are given twice, in the same blocks and order: first counted,
    // then put in their places, with the values of one member. All numbers are valid.
    void start(int64_t size);
    void count(const Block &block);
    void arrange();
    void place(const Block &block, Values *array, const Column &values);
    void finish();
    void disconnect();

    void set(const Member &member, const Column &values);

    void get(const Member &member, real *values) const;

    // Where connections are in the arrays, by their numbers as they were given.
    virtual std::vector<int> places(std::vector<int> numbers) const = 0;

    // What a run changes.
    struct State {
        std::vector<std::vector<std::vector<Arrival>>> queues;
        std::vector<Values> arrays;
    };

    State state() const;

    void restore(const State &state);

  protected:
    // By time of arrival, circular: as many slots as the longest delay has steps.
    using Queue = std::vector<std::vector<Arrival>>;
    std::vector<Queue> queues;
    int64_t n_given = 0;
    Sequence sequence;

    virtual int64_t n_stored() const = 0;
    virtual void clear() = 0;
    virtual void expect(int64_t size) = 0;
    virtual void add(int64_t pre, int64_t post, int64_t delay) = 0;
    virtual void allocate() = 0;
    virtual size_t put(int64_t pre, int64_t post, int64_t delay) = 0;  // returns the place
    virtual void complete() = 0;
    virtual void settle() {}  // after values were set
    virtual void store(Values &array, const Column &values) const = 0;
    virtual void load(const Values &array, real *values) const = 0;

    int first_post(int part) const { return int(int64_t(n_post) * part / n_parts); }

    std::vector<Arrival> &arriving(int part, int delay) {
        Queue &queue = queues[size_t(part)];
        return queue[size_t(t + delay - 1) % queue.size()];
    }

    void set_longest_delay(int64_t steps) {
        queues.assign(size_t(n_parts), Queue(size_t(std::max(steps, int64_t(1)))));
    }
};

// Connections one by one: any number between two neurons, each with a delay of its own.
struct Sparse : Connections {
    Sparse(int n_pre, int n_post, int n_parts, bool needs_columns)
        : Connections(n_pre, n_post, n_parts), needs_columns(needs_columns) {
        clear();
    }

    std::vector<int> places(std::vector<int> numbers) const override;

  protected:
    std::vector<std::vector<int>> rows;  // of a part: where the connections of each neuron start
    std::vector<int> post_of;            // of each connection
    std::vector<int> columns, of_column; // where those to each neuron start, and which they are
    int shared_delay = 1;

    std::vector<Arrival> &arrive(int part, const std::vector<int> &spiked) {
        const int *row = rows[size_t(part)].data();
        for (size_t k = 0; k < spiked.size(); ++k) {
            if (!delay_of.empty() && k + rows_ahead < spiked.size()) {
                const int next = spiked[k + rows_ahead];
                prefetch(delay_of.data(), row[next], row[next + 1]);
            }
            const int pre = spiked[k], stop = row[pre + 1];
            int begin = row[pre];
            while (begin < stop) {
                const int delay = delay_of.empty() ? shared_delay : delay_of[size_t(begin)];
                int end = delay_of.empty() ? stop : begin + 1;
                while (end < stop && delay_of[size_t(end)] == delay) ++end;
                arriving(part, delay).push_back({pre, begin, end});
                begin = end;
            }
        }
        return arriving(part, 1);
    }

    void add_each(const std::vector<Arrival> &now, const real *weights, real *__restrict sums) const {
        const int *post = post_of.data();
        for (size_t k = 0; k < now.size(); ++k) {
            if (k + rows_ahead < now.size()) {
                const Arrival &next = now[k + rows_ahead];
                prefetch(post, next.begin, next.end);
                prefetch(weights, next.begin, next.end);
            }
            for (int i = now[k].begin; i < now[k].end; ++i) sums[post[i]] += weights[i];
        }
    }

    void add_each(const std::vector<Arrival> &now, real weight, real *__restrict sums) const {
        const int *post = post_of.data();
        for (size_t k = 0; k < now.size(); ++k) {
            if (k + rows_ahead < now.size()) {
                prefetch(post, now[k + rows_ahead].begin, now[k + rows_ahead].end);
            }
            for (int i = now[k].begin; i < now[k].end; ++i) sums[post[i]] += weight;
        }
    }

    int pre_of(int part, int connection) const {
        const std::vector<int> &row = rows[size_t(part)];
        return int(std::upper_bound(row.begin(), row.end(), connection) - row.begin()) - 1;
    }

    int64_t n_stored() const override { return int64_t(post_of.size()); }

    void clear() override;

    void expect(int64_t size) override;

    void add(int64_t pre, int64_t post, int64_t delay) override;

    void allocate() override;

    size_t put(int64_t pre, int64_t post, int64_t delay) override;

    void complete() override;

    void store(Values &array, const Column &values) const override;

    void load(const Values &array, real *values) const override;

  private:
    // Rows are short and far from each other, which the processor cannot foresee: in networks beyond
    // its caches this halves the time. It does foresee the rest of a long row.
    static constexpr size_t rows_ahead = 8;
    static constexpr int longest_prefetch = 128;

    // Inlined by force: GCC finds no effect in a function that only prefetches, and drops its calls.
    template <typename T>
    __attribute__((always_inline)) static void prefetch(const T *values, int begin, int end) {
        constexpr int line = 64 / sizeof(T);
        end = std::min(end, begin + longest_prefetch);
        for (int i = begin; i < end; i += line) __builtin_prefetch(values + i);
    }

    const bool needs_columns;
    std::vector<uint16_t> delay_of;  // of each connection; empty if all are equal
    std::vector<int> given;          // number of each connection as it was given; empty if it is
                                     // the same, or follows from the order by postsynaptic neuron
    std::vector<int> part_of;        // of each postsynaptic neuron, while connections are made
    int n_put = 0;

    bool is_by_post() const { return given.empty() && !is_as_given(); }

    bool is_as_given() const { return sequence.by_row && sequence.one_delay; }

    // Rows are in order; connections of one neuron stay in theirs.
    void sort_by_delay();

    // Returns the connections by postsynaptic neuron, and where those of each start.
    std::vector<int> by_post(std::vector<int> &starts) const;
};

// Connections that add a weight. Where at least half of all pairs are connected, with one delay,
// they are stored as a matrix, which takes less memory and time; a weight that is missing is 0.
struct Weighted : Sparse {
    Weighted(int n_pre, int n_post, int n_parts, const Values &weights)
        : Sparse(n_pre, n_post, n_parts, false), weights(weights) {}

    std::vector<int> places(std::vector<int> numbers) const override;

  protected:
    // Adds what arrives to the sums of the postsynaptic neurons.
    void add(int part, const std::vector<int> &spiked, Values &sums) {
        if (n_cells == 0) {
            std::vector<Arrival> &now = arrive(part, spiked);
            if (is_same) {
                add_each(now, weights[0], sums.data());
            } else {
                add_each(now, weights.data(), sums.data());
            }
            now.clear();
        } else {
            std::vector<Arrival> &later = arriving(part, shared_delay);
            for (int pre : spiked) later.push_back({pre, first_post(part), first_post(part + 1)});
            std::vector<Arrival> &now = arriving(part, 1);
            add_rows(now, weights.data(), sums.data());
            now.clear();
        }
    }

    int64_t n_stored() const override { return n_cells > 0 ? n_cells : Sparse::n_stored(); }

    void clear() override;

    void expect(int64_t size) override;

    void add(int64_t pre, int64_t post, int64_t delay) override;

    void allocate() override;

    size_t put(int64_t pre, int64_t post, int64_t delay) override;

    void complete() override;

    void settle() override;

    void store(Values &array, const Column &values) const override;

    void load(const Values &array, real *values) const override;

  private:
    const Values &weights;
    bool is_same = false;      // all weights are equal
    int64_t n_cells = 0;       // of the matrix; 0 if there is none
    std::vector<bool> taken;   // cells with a connection
    std::vector<int> cell_of;  // of each connection as it was given; empty if they are in order

    // Calls with the number of each connection as it was given, and its cell.
    template <typename Action>
    void each_cell(Action action) const {
        if (!cell_of.empty()) {
            for (size_t i = 0; i < cell_of.size(); ++i) action(int64_t(i), size_t(cell_of[i]));
            return;
        }
        const bool by_pre = sequence.by_pre;
        const int n_outer = by_pre ? n_pre : n_post, n_inner = by_pre ? n_post : n_pre;
        int64_t i = 0;
        for (int outer = 0; outer < n_outer; ++outer) {
            for (int inner = 0; inner < n_inner; ++inner) {
                const int pre = by_pre ? outer : inner, post = by_pre ? inner : outer;
                const size_t cell = size_t(int64_t(pre) * n_post + post);
                if (taken[cell]) action(i++, cell);
            }
        }
    }

    // Four rows at once: the sums are read and written once for all four, in the same order.
    void add_rows(const std::vector<Arrival> &now, const real *weights, real *__restrict sums) const {
        const auto row = [&](size_t k) { return weights + int64_t(now[k].pre) * n_post; };
        size_t k = 0;
        for (; k + 4 <= now.size(); k += 4) {
            const real *a = row(k), *b = row(k + 1), *c = row(k + 2), *d = row(k + 3);
#pragma omp simd
            for (int i = now[k].begin; i < now[k].end; ++i) {
                sums[i] = (((sums[i] + a[i]) + b[i]) + c[i]) + d[i];
            }
        }
        for (; k < now.size(); ++k) {
            const real *a = row(k);
#pragma omp simd
            for (int i = now[k].begin; i < now[k].end; ++i) sums[i] += a[i];
        }
    }
};

// Connections that all add the same weight.
struct Counted : Sparse {
    Counted(int n_pre, int n_post, int n_parts, const real &weight)
        : Sparse(n_pre, n_post, n_parts, false), weight(weight) {}

  protected:
    void add(int part, const std::vector<int> &spiked, Values &sums) {
        std::vector<Arrival> &now = arrive(part, spiked);
        add_each(now, weight, sums.data());
        now.clear();
    }

  private:
    const real &weight;
};
