// The C interface of a compiled program, used by library.py.
//
// One unit with ANNarchy's generated core: driver.cpp includes the core, then this file, then
// defines the functions declared first. Everything but API functions has hidden visibility, so that
// several loaded copies share nothing.

#include <cstdint>
#include <exception>
#include <memory>

#include "connections.hpp"

#define API extern "C" __attribute__((visibility("default")))

enum Status : int { SUCCESS, NO_MEMORY, TOO_LARGE_A_NUMBER };

struct View {
    real *data;
    int64_t size;
};

static inline View view(std::vector<real> &values) { return {values.data(), int64_t(values.size())}; }
static inline View view(real &value) { return {&value, 1}; }

struct Population {
    Cells *cells;
    std::vector<View> members;
};

static void create_network(const int *sizes, int threads);
static void delete_network();
static std::vector<Population> bind_populations();
static std::vector<Connections *> bind_projections();

static std::vector<Population> populations;
static std::vector<Connections *> projections;

// All that a run changes but the variables of the populations.
struct Moment {
    long int step = 0;
    std::vector<std::vector<Generator>> generators;
    std::vector<std::vector<int>> spiked;
    std::vector<Connections::State> connections;

    static Moment now() {
        Moment result;
        result.step = t;
        for (const Population &item : populations) {
            result.generators.push_back(item.cells->generators);
            result.spiked.push_back(item.cells->spiked);
        }
        for (const Connections *item : projections) result.connections.push_back(item->state());
        return result;
    }

    void restore() const {
        setTime(step);
        for (size_t i = 0; i < populations.size(); ++i) {
            populations[i].cells->generators = generators[i];
            populations[i].cells->spiked = spiked[i];
        }
        for (size_t i = 0; i < projections.size(); ++i) projections[i]->restore(connections[i]);
    }
};

static void set_seed(long seed) {
    for (size_t i = 0; i < populations.size(); ++i) populations[i].cells->seed(uint64_t(seed), int(i));
}

static Moment start, later;
static Moment *start_of_run = &start;

template <typename Work>
static int guarded(Work work) {
    try {
        work();
        return SUCCESS;
    } catch (const std::range_error &) {
        return TOO_LARGE_A_NUMBER;
    } catch (const std::exception &) {
        return NO_MEMORY;
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
        : Recorder(ranks, 1), spiked(&population.cells->spiked) {
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
        create_network(sizes, threads);
    });
}

API int izhi_initialize(double step, long seed) {
    return guarded([&] {
        initialize(step);
        populations = bind_populations();
        projections = bind_projections();
        set_seed(seed);
        start = Moment::now();
    });
}

API void *izhi_view(int neuron, int member, int64_t *size) {
    const View found = populations[size_t(neuron)].members[size_t(member)];
    *size = found.size;
    return found.data;
}

API int izhi_connect(int projection, const Column *pre, const Column *post, const Column *delays) {
    return guarded([&] { projections[size_t(projection)]->connect(*pre, *post, *delays); });
}

API int izhi_set(int projection, int member, const Column *values) {
    return guarded([&] {
        Connections &found = *projections[size_t(projection)];
        found.set(found.members[size_t(member)], *values);
    });
}

API void izhi_get(int projection, int member, real *values) {
    const Connections &found = *projections[size_t(projection)];
    found.get(found.members[size_t(member)], values);
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
        start_of_run = t == 0 ? &start : &later;
        *start_of_run = Moment::now();
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

API int izhi_reset(long seed) {
    return guarded([&] {
        izhi_clear();
        if (t > 0) start.restore();
        set_seed(seed);
        for (const Population &item : populations) item.cells->spiked.clear();
    });
}

API int izhi_rewind() {
    return guarded([] { start_of_run->restore(); });
}

API void izhi_delete() {
    recorders.clear();
    traces.clear();
    spikes.clear();
    populations.clear();
    projections.clear();
    start = later = Moment();
    delete_network();
}
