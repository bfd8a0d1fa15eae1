// The C interface of a compiled program, used by library.py.
//
// One unit with ANNarchy's generated core: driver.cpp includes the core, then this file, then
// defines the four functions declared first. Everything but API functions has hidden visibility,
// so that several loaded copies share nothing. A status of 0 is success, 1 is lack of memory.

#include <cstdint>
#include <exception>
#include <memory>

#define API extern "C" __attribute__((visibility("default")))

using real = decltype(dt);

struct View {
    real *data;
    int64_t size;
};

static inline View view(std::vector<real> &values) { return {values.data(), int64_t(values.size())}; }
static inline View view(real &value) { return {&value, 1}; }

struct Population {
    const std::vector<int> *spiked;
    std::vector<View> members;
};

static void create_populations(const int *sizes);
static void reset_populations();
static void delete_populations();
static std::vector<Population> bind_populations();

static std::vector<Population> populations;

static struct {
    long int step;
    std::vector<std::mt19937> generators;
} start_of_run;

template <typename Work>
static int guarded(Work work) {
    try {
        work();
        return 0;
    } catch (const std::exception &) {
        return 1;
    }
}

template <typename T>
static void reserve(std::vector<T> &values, size_t more) {
    const size_t needed = values.size() + more;
    if (needed > values.capacity()) values.reserve(std::max(needed, 2 * values.capacity()));
}

// ANNarchy calls `record` of every Monitor at the end of each step, also with threads. Its own
// monitors keep one vector per step; these keep flat arrays, which are copied out at once.
struct Recorder : Monitor {
    Recorder(const std::vector<int> &ranks, int period) : Monitor(ranks, period, 0, 0) {}
    virtual void prepare(int64_t) {}
    void record_targets() override {}
    size_t estimate_size_in_bytes(int) override { return 0; }
    long int size_in_bytes() override { return 0; }
};

struct Trace : Recorder {
    View source;
    std::vector<real> values;

    Trace(View source, const std::vector<int> &ranks, int period)
        : Recorder(ranks, period), source(source) {}

    // Room for all rows is made before the run, where lack of memory can still be reported.
    void prepare(int64_t steps) override {
        const size_t width = partial ? ranks.size() : size_t(source.size);
        reserve(values, size_t(steps / period_ + 1) * width);
    }

    void record() override {
        if ((t + 1) % period_ != 0) return;
        if (partial) {
            for (int rank : ranks) values.push_back(source.data[rank]);
        } else {
            values.insert(values.end(), source.data, source.data + source.size);
        }
    }

    void clear() override { values.clear(); }
};

struct Spikes : Recorder {
    const std::vector<int> *spiked;
    std::vector<char> wanted;
    std::vector<int64_t> steps;
    std::vector<int> senders;

    Spikes(const Population &population, const std::vector<int> &ranks, int size)
        : Recorder(ranks, 1), spiked(population.spiked) {
        if (partial) {
            wanted.resize(size_t(size));
            for (int rank : ranks) wanted[size_t(rank)] = 1;
        }
    }

    void record() override {
        for (int rank : *spiked) {
            if (partial && !wanted[size_t(rank)]) continue;
            steps.push_back(t);
            senders.push_back(rank);
        }
    }

    void clear() override {
        steps.clear();
        senders.clear();
    }
};

static std::vector<std::unique_ptr<Trace>> traces;
static std::vector<std::unique_ptr<Spikes>> spikes;

static std::vector<int> selection(const int *ranks, int64_t n_ranks) {
    return ranks ? std::vector<int>(ranks, ranks + n_ranks) : std::vector<int>{-1};
}

API int izhi_create(const int *sizes, int threads) {
    return guarded([&] {
        if (threads > 1) setNumberThreads(threads, {});
        create_populations(sizes);
    });
}

API int izhi_initialize(double step, long seed) {
    return guarded([&] {
        setSeed(seed, 1, true);
        initialize(step);
        populations = bind_populations();
    });
}

API void *izhi_view(int neuron, int member, int64_t *size) {
    const View found = populations[size_t(neuron)].members[size_t(member)];
    *size = found.size;
    return found.data;
}

API int izhi_record_trace(int neuron, int member, const int *ranks, int64_t n_ranks, int period) {
    return guarded([&] {
        const View source = populations[size_t(neuron)].members[size_t(member)];
        traces.emplace_back(new Trace(source, selection(ranks, n_ranks), period));
        addRecorder(traces.back().get());
    });
}

API int izhi_record_spikes(int neuron, const int *ranks, int64_t n_ranks, int size) {
    return guarded([&] {
        const Population &population = populations[size_t(neuron)];
        spikes.emplace_back(new Spikes(population, selection(ranks, n_ranks), size));
        addRecorder(spikes.back().get());
    });
}

API int izhi_run(int steps) {
    return guarded([&] {
        for (auto &trace : traces) trace->prepare(steps);
        start_of_run = {t, rng};
        run(steps);
    });
}

API const void *izhi_trace(int index, int64_t *size) {
    *size = int64_t(traces[size_t(index)]->values.size());
    return traces[size_t(index)]->values.data();
}

API const int64_t *izhi_spike_steps(int index, int64_t *size) {
    *size = int64_t(spikes[size_t(index)]->steps.size());
    return spikes[size_t(index)]->steps.data();
}

API const int *izhi_spike_ranks(int index) { return spikes[size_t(index)]->senders.data(); }

API void izhi_clear() {
    for (auto &trace : traces) trace->clear();
    for (auto &train : spikes) train->clear();
}

API void izhi_reset(long seed) {
    izhi_clear();
    setSeed(seed, 1, true);
    setTime(0);
    reset_populations();
}

API void izhi_rewind() {
    setTime(start_of_run.step);
    rng = start_of_run.generators;
}

API void izhi_delete() {
    recorders.clear();
    traces.clear();
    spikes.clear();
    populations.clear();
    delete_populations();
}
