// The connections of a projection, and the spikes on their way to them.
//
// Connections are stored by presynaptic neuron. Each thread owns those to a contiguous range of
// postsynaptic neurons (a part): no two threads write to one neuron, and the input of a neuron is
// summed in the same order by any number of threads.
//
// Included by the generated code, after the populations.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

// An array of the caller, of 4- or 8-byte numbers; a single number stands for all connections.
struct Column {
    const void *data;
    int bytes;
    int64_t size;

    // A single number stands for an array of equal ones.
    Column simplified() const {
        for (int64_t i = 1; i < size; ++i) {
            if (integer(i) != integer(0)) return *this;
        }
        return {data, bytes, std::min(size, int64_t(1))};
    }

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

// The connections numbered from `begin` to `end`, all of one neuron, which get a spike now.
struct Arrival {
    int pre, begin, end;
};

// A parameter or variable: one number, or one for each connection.
struct Member {
    real *single;
    std::vector<real> *array;
    bool varies;
};

struct Connections {
    const int n_pre, n_post, n_parts;
    std::vector<Member> members;

    Connections(int n_pre, int n_post, int n_parts)
        : n_pre(n_pre), n_post(n_post), n_parts(n_parts), queues(size_t(n_parts), Queue(1)) {}
    virtual ~Connections() = default;

    int64_t size() const { return n_given; }

    // Replaces all connections; a delay is a number of steps from 1. All numbers are valid.
    void connect(const Column &pre, const Column &post, const Column &delays) {
        n_given = 0;
        clear();
        try {
            build(pre, post, delays.simplified());
            for (const Member &member : members) {
                if (member.array) member.array->assign(size_t(n_stored()), real(0));
            }
        } catch (...) {
            clear();
            throw;
        }
        n_given = pre.size;
    }

    void set(const Member &member, const Column &values) {
        if (member.single) {
            *member.single = values.number(0);
        } else {
            store(*member.array, values);
        }
    }

    void get(const Member &member, real *values) const {
        if (member.single) {
            *values = *member.single;
        } else {
            load(*member.array, values);
        }
    }

    // What a run changes.
    struct State {
        std::vector<std::vector<std::vector<Arrival>>> queues;
        std::vector<std::vector<real>> arrays;
    };

    State state() const {
        State result{queues, {}};
        for (const Member &member : members) {
            if (member.varies) result.arrays.push_back(*member.array);
        }
        return result;
    }

    void restore(const State &state) {
        queues = state.queues;
        auto array = state.arrays.begin();
        for (const Member &member : members) {
            if (member.varies) *member.array = *array++;
        }
    }

  protected:
    // By time of arrival, circular: as many slots as the longest delay has steps.
    using Queue = std::vector<std::vector<Arrival>>;
    std::vector<Queue> queues;
    int64_t n_given = 0;

    virtual int64_t n_stored() const = 0;
    virtual void clear() = 0;
    virtual void build(const Column &pre, const Column &post, const Column &delays) = 0;
    virtual void store(std::vector<real> &array, const Column &values) const = 0;
    virtual void load(const std::vector<real> &array, real *values) const = 0;

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

  protected:
    std::vector<std::vector<int>> rows;  // of a part: where the connections of each neuron start
    std::vector<int> post_of;            // of each connection
    std::vector<int> columns, of_column; // where those to each neuron start, and which they are
    int shared_delay = 1;

    std::vector<Arrival> &arrive(int part, const std::vector<int> &spiked) {
        const std::vector<int> &row = rows[size_t(part)];
        for (int pre : spiked) {
            int begin = row[size_t(pre)];
            const int stop = row[size_t(pre) + 1];
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
            if (k + rows_ahead < now.size()) prefetch(now[k + rows_ahead], weights);
            for (int i = now[k].begin; i < now[k].end; ++i) sums[post[i]] += weights[i];
        }
    }

    void add_each(const std::vector<Arrival> &now, real weight, real *__restrict sums) const {
        const int *post = post_of.data();
        for (size_t k = 0; k < now.size(); ++k) {
            if (k + rows_ahead < now.size()) prefetch(now[k + rows_ahead], nullptr);
            for (int i = now[k].begin; i < now[k].end; ++i) sums[post[i]] += weight;
        }
    }

    int pre_of(int part, int connection) const {
        const std::vector<int> &row = rows[size_t(part)];
        return int(std::upper_bound(row.begin(), row.end(), connection) - row.begin()) - 1;
    }

    int64_t n_stored() const override { return int64_t(post_of.size()); }

    void clear() override {
        rows.assign(size_t(n_parts), std::vector<int>(size_t(n_pre) + 1));
        columns.assign(needs_columns ? size_t(n_post) + 1 : 0, 0);
        for (auto *array : {&post_of, &of_column, &given}) std::vector<int>().swap(*array);
        std::vector<uint16_t>().swap(delay_of);
        set_longest_delay(shared_delay = 1);
    }

    void build(const Column &pre, const Column &post, const Column &delays) override {
        sort(pre, post);
        if (delays.size == 1) {
            set_longest_delay(shared_delay = int(delays.integer(0)));
        } else if (delays.size > 1) {
            set_delays(delays);
        }
        post_of.resize(given.size());
        for (size_t i = 0; i < given.size(); ++i) post_of[i] = int(post.integer(given[i]));
        if (std::is_sorted(given.begin(), given.end())) std::vector<int>().swap(given);
        if (needs_columns) index_columns();
    }

    void store(std::vector<real> &array, const Column &values) const override {
        for (size_t i = 0; i < array.size(); ++i) {
            array[i] = values.number(given.empty() ? int64_t(i) : given[i]);
        }
    }

    void load(const std::vector<real> &array, real *values) const override {
        for (size_t i = 0; i < array.size(); ++i) values[given.empty() ? i : given[i]] = array[i];
    }

  private:
    // Rows are short and far from each other, which the processor cannot foresee: in networks beyond
    // its caches this halves the time. It does foresee the rest of a long row.
    static constexpr size_t rows_ahead = 4;
    static constexpr int longest_prefetch = 128;

    void prefetch(const Arrival &row, const real *weights) const {
        constexpr int line = 64;
        const int end = std::min(row.end, row.begin + longest_prefetch);
        for (int i = row.begin; i < end; i += line / sizeof(int)) __builtin_prefetch(&post_of[size_t(i)]);
        if (!weights) return;
        for (int i = row.begin; i < end; i += line / sizeof(real)) __builtin_prefetch(&weights[i]);
    }

    const bool needs_columns;
    std::vector<uint16_t> delay_of;  // of each connection; empty if all are equal
    std::vector<int> given;          // number of each connection as it was given; empty if the same

    // Counting sort by part and presynaptic neuron; connections of one neuron stay in their order.
    void sort(const Column &pre, const Column &post) {
        std::vector<int> part_of(static_cast<size_t>(n_post));
        for (int part = 0; part < n_parts; ++part) {
            std::fill(part_of.begin() + first_post(part), part_of.begin() + first_post(part + 1), part);
        }
        const auto row = [&](int64_t i) -> int & {
            return rows[size_t(part_of[size_t(post.integer(i))])][size_t(pre.integer(i)) + 1];
        };
        for (int64_t i = 0; i < pre.size; ++i) ++row(i);
        int start = 0;
        for (auto &ends : rows) {
            ends[0] = start;
            for (size_t i = 1; i < ends.size(); ++i) {
                const int count = ends[i];
                ends[i] = start;  // grows up to the end of the row below
                start += count;
            }
        }
        given.resize(size_t(pre.size));
        for (int64_t i = 0; i < pre.size; ++i) given[size_t(row(i)++)] = int(i);
    }

    void set_delays(const Column &delays) {
        for (const auto &row : rows) {
            for (size_t i = 0; i + 1 < row.size(); ++i) {
                std::stable_sort(given.begin() + row[i], given.begin() + row[i + 1], [&](int a, int b) {
                    return delays.integer(a) < delays.integer(b);
                });
            }
        }
        delay_of.resize(given.size());
        int64_t longest = 1;
        for (size_t i = 0; i < given.size(); ++i) {
            delay_of[i] = uint16_t(delays.integer(given[i]));
            longest = std::max<int64_t>(longest, delay_of[i]);
        }
        set_longest_delay(longest);
    }

    void index_columns() {
        for (int post : post_of) ++columns[size_t(post) + 1];
        for (size_t i = 1; i < columns.size(); ++i) columns[i] += columns[i - 1];
        std::vector<int> next(columns.begin(), columns.end() - 1);
        of_column.resize(post_of.size());
        for (size_t i = 0; i < post_of.size(); ++i) of_column[size_t(next[size_t(post_of[i])]++)] = int(i);
    }
};

// Connections that add a weight. Where at least half of all pairs are connected, with one delay,
// they are stored as a matrix, which takes less memory and time; a weight that is missing is 0.
struct Weighted : Sparse {
    Weighted(int n_pre, int n_post, int n_parts, const std::vector<real> &weights)
        : Sparse(n_pre, n_post, n_parts, false), weights(weights) {}

  protected:
    // Adds what arrives to the sums of the postsynaptic neurons.
    void add(int part, const std::vector<int> &spiked, std::vector<real> &sums) {
        if (n_cells == 0) {
            std::vector<Arrival> &now = arrive(part, spiked);
            add_each(now, weights.data(), sums.data());
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

    void clear() override {
        Sparse::clear();
        n_cells = 0;
        std::vector<int>().swap(cell_of);
    }

    void build(const Column &pre, const Column &post, const Column &delays) override {
        if (delays.size != 1 || !build_matrix(pre, post)) {
            Sparse::build(pre, post, delays);
        } else {
            set_longest_delay(shared_delay = int(delays.integer(0)));
        }
    }

    void store(std::vector<real> &array, const Column &values) const override {
        if (n_cells == 0) return Sparse::store(array, values);
        for (int64_t i = 0; i < n_given; ++i) array[cell(i)] = values.number(i);
    }

    void load(const std::vector<real> &array, real *values) const override {
        if (n_cells == 0) return Sparse::load(array, values);
        for (int64_t i = 0; i < n_given; ++i) values[i] = array[cell(i)];
    }

  private:
    const std::vector<real> &weights;
    int64_t n_cells = 0;       // of the matrix; 0 if there is none
    std::vector<int> cell_of;  // of each connection as it was given; empty if the same

    size_t cell(int64_t i) const { return size_t(cell_of.empty() ? i : cell_of[size_t(i)]); }

    bool build_matrix(const Column &pre, const Column &post) {
        const int64_t wanted = int64_t(n_pre) * n_post;
        if (pre.size < wanted / 2 || pre.size > wanted || wanted > INT32_MAX) return false;
        std::vector<bool> taken(static_cast<size_t>(wanted));
        cell_of.resize(size_t(pre.size));
        for (int64_t i = 0; i < pre.size; ++i) {
            const int64_t place = pre.integer(i) * n_post + post.integer(i);
            if (taken[size_t(place)]) {  // two connections of one pair
                std::vector<int>().swap(cell_of);
                return false;
            }
            taken[size_t(place)] = true;
            cell_of[size_t(i)] = int(place);
        }
        n_cells = wanted;
        if (pre.size == wanted && std::is_sorted(cell_of.begin(), cell_of.end())) {
            std::vector<int>().swap(cell_of);
        }
        return true;
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
    void add(int part, const std::vector<int> &spiked, std::vector<real> &sums) {
        std::vector<Arrival> &now = arrive(part, spiked);
        add_each(now, weight, sums.data());
        now.clear();
    }

  private:
    const real &weight;
};
