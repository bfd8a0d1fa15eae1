// The C interface of a compiled program, used by library.py.
//
// The same for all programs of one precision, so compiled once. Everything but API functions has
// hidden visibility, so that several loaded copies share nothing.

#include <cstdint>
#include <exception>
#include <memory>

#include "network.hpp"

#define API extern "C" __attribute__((visibility("default")))

enum Status : int { SUCCESS, NO_MEMORY, TOO_LARGE_A_NUMBER };

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
        t = step;
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

// Recorded numbers are kept in flat arrays, which are copied out at once.
struct Trace : Monitor {
    const View source;
    const std::vector<int> ranks;
    const bool partial;
    const int period;
    std::vector<real> values;

    Trace(View source, const int *ranks, int64_t n_ranks, int period)
        : source(source), ranks(ranks, ranks + n_ranks), partial(ranks), period(period) {}

    // Room for all rows is made before the run, where lack of memory can still be reported.
    void prepare(int64_t steps) {
        const size_t width = partial ? ranks.size() : size_t(source.size);
        reserve(values, size_t(steps / period + 1) * width);
    }

    void record() override {
        if ((t + 1) % period != 0) return;
        if (partial) {
            for (int rank : ranks) values.push_back(source.data[rank]);
        } else {
            values.insert(values.end(), source.data, source.data + source.size);
        }
    }
};

struct Spikes : Monitor {
    const std::vector<int> &spiked;
    const bool partial;
    std::vector<char> wanted;
    std::vector<int64_t> steps;
    std::vector<int> senders;

    Spikes(const Cells &cells, const int *ranks, int64_t n_ranks)
        : spiked(cells.spiked), partial(ranks), wanted(size_t(partial ? cells.size : 0)) {
        for (int64_t i = 0; i < n_ranks; ++i) wanted[size_t(ranks[i])] = 1;
    }

    void record() override {
        for (int rank : spiked) {
            if (partial && !wanted[size_t(rank)]) continue;
            steps.push_back(t);
            senders.push_back(rank);
        }
    }
};

static std::vector<std::unique_ptr<Trace>> traces;
static std::vector<std::unique_ptr<Spikes>> spikes;

API int izhi_create(const int *sizes, int threads) {
    return guarded([&] { create_network(sizes, threads); });
}

API int izhi_initialize(double step, long seed) {
    return guarded([&] {
        start_network(step);
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

// One of the stages of making connections; if it fails, there are none.
template <typename Stage>
static int connecting(int projection, Stage stage) {
    Connections &found = *projections[size_t(projection)];
    const int status = guarded([&] { stage(found); });
    if (status != SUCCESS) found.disconnect();
    return status;
}

API int izhi_start_connecting(int projection, int64_t size) {
    return connecting(projection, [&](Connections &item) { item.start(size); });
}

API int izhi_count(int projection, const Column *pre, const Column *post, const Column *delays) {
    return connecting(projection, [&](Connections &item) { item.count({*pre, *post, *delays}); });
}

API int izhi_arrange(int projection) {
    return connecting(projection, [](Connections &item) { item.arrange(); });
}

API int izhi_place(int projection, const Column *pre, const Column *post, const Column *delays,
                   int member, const Column *values) {
    return connecting(projection, [&](Connections &item) {
        item.place({*pre, *post, *delays}, item.members[size_t(member)].array, *values);
    });
}

API int izhi_finish_connecting(int projection) {
    return connecting(projection, [](Connections &item) { item.finish(); });
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
        traces.emplace_back(new Trace(source, ranks, n_ranks, period));
        recorders.push_back(traces.back().get());
    });
}

API int izhi_record_connections(
    int projection, int member, const int *numbers, int64_t size, int period) {
    return guarded([&] {
        const Connections &found = *projections[size_t(projection)];
        Values &array = *found.members[size_t(member)].array;
        const std::vector<int> places = found.places({numbers, numbers + size});
        const View source{array.data(), int64_t(array.size())};
        traces.emplace_back(new Trace(source, places.data(), size, period));
        recorders.push_back(traces.back().get());
    });
}

API int izhi_record_spikes(int neuron, const int *ranks, int64_t n_ranks) {
    return guarded([&] {
        spikes.emplace_back(new Spikes(*populations[size_t(neuron)].cells, ranks, n_ranks));
        recorders.push_back(spikes.back().get());
    });
}

API int izhi_run(int steps) {
    return guarded([&] {
        for (auto &trace : traces) trace->prepare(steps);
        for (const Population &item : populations) item.cells->prepare();
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
    for (auto &trace : traces) trace->values.clear();
    for (auto &train : spikes) {
        train->steps.clear();
        train->senders.clear();
    }
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
