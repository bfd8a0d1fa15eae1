// How connections are stored, read and set: the same for all programs of one precision.

#include <numeric>
#include <utility>

#include "network.hpp"

void Connections::start(int64_t size) {
    disconnect();
    expect(size);
}

void Connections::count(const Block &block) {
    for (int64_t i = 0; i < block.pre.size; ++i) {
        add(block.pre.integer(i), block.post.integer(i), block.delays.integer(i));
    }
}

void Connections::arrange() {
    allocate();
    for (const Member &member : members) {
        if (member.array) member.array->assign(size_t(n_stored()), real(0));
    }
}

void Connections::place(const Block &block, Values *array, const Column &values) {
    for (int64_t i = 0; i < block.pre.size; ++i) {
        const size_t place =
            put(block.pre.integer(i), block.post.integer(i), block.delays.integer(i));
        if (array) (*array)[place] = values.number(i);
    }
}

void Connections::finish() {
    complete();
    settle();
    n_given = sequence.size;
}

void Connections::disconnect() {
    n_given = 0;
    sequence = Sequence();
    clear();
}

void Connections::set(const Member &member, const Column &values) {
    if (member.single) {
        *member.single = values.number(0);
    } else {
        store(*member.array, values);
    }
    settle();
}

void Connections::get(const Member &member, real *values) const {
    if (member.single) {
        *values = *member.single;
    } else {
        load(*member.array, values);
    }
}

Connections::State Connections::state() const {
    State result{queues, {}};
    for (const Member &member : members) {
        if (member.varies) result.arrays.push_back(*member.array);
    }
    return result;
}

void Connections::restore(const State &state) {
    queues = state.queues;
    auto array = state.arrays.begin();
    for (const Member &member : members) {
        if (member.varies) *member.array = *array++;
    }
}

void Sparse::clear() {
    rows.assign(size_t(n_parts), std::vector<int>(size_t(n_pre) + 1));
    columns.assign(needs_columns ? size_t(n_post) + 1 : 0, 0);
    for (auto *array : {&post_of, &of_column, &given, &part_of}) std::vector<int>().swap(*array);
    std::vector<uint16_t>().swap(delay_of);
    n_put = 0;
    set_longest_delay(shared_delay = 1);
}

void Sparse::expect(int64_t) {
    part_of.resize(size_t(n_post));
    for (int part = 0; part < n_parts; ++part) {
        std::fill(part_of.begin() + first_post(part), part_of.begin() + first_post(part + 1), part);
    }
}

void Sparse::add(int64_t pre, int64_t post, int64_t delay) {
    const int part = part_of[size_t(post)];
    ++rows[size_t(part)][size_t(pre) + 1];
    sequence.add(part, pre, post, delay);
}

void Sparse::allocate() {
    int start = 0;
    for (auto &ends : rows) {
        ends[0] = start;
        for (size_t i = 1; i < ends.size(); ++i) {
            const int count = ends[i];
            ends[i] = start;  // grows up to the end of the row below
            start += count;
        }
    }
    const size_t size = size_t(sequence.size);
    post_of.resize(size);
    if (!sequence.one_delay) delay_of.resize(size);
    if (!is_as_given() && !sequence.by_post) given.resize(size);
    set_longest_delay(sequence.longest_delay);
    if (sequence.one_delay) shared_delay = int(sequence.longest_delay);
}

size_t Sparse::put(int64_t pre, int64_t post, int64_t delay) {
    const size_t place = size_t(rows[size_t(part_of[size_t(post)])][size_t(pre) + 1]++);
    post_of[place] = int(post);
    if (!delay_of.empty()) delay_of[place] = uint16_t(delay);
    if (!given.empty()) given[place] = n_put;
    ++n_put;
    return place;
}

void Sparse::complete() {
    std::vector<int>().swap(part_of);
    if (!delay_of.empty()) sort_by_delay();
    if (needs_columns) of_column = by_post(columns);
}

void Sparse::store(Values &array, const Column &values) const {
    if (is_by_post()) {
        std::vector<int> starts;
        const std::vector<int> places = by_post(starts);
        for (size_t i = 0; i < places.size(); ++i) array[size_t(places[i])] = values.number(int64_t(i));
        return;
    }
    for (size_t i = 0; i < array.size(); ++i) {
        array[i] = values.number(given.empty() ? int64_t(i) : given[i]);
    }
}

void Sparse::load(const Values &array, real *values) const {
    if (is_by_post()) {
        std::vector<int> starts;
        for (int place : by_post(starts)) *values++ = array[size_t(place)];
        return;
    }
    for (size_t i = 0; i < array.size(); ++i) values[given.empty() ? i : size_t(given[i])] = array[i];
}

std::vector<int> Sparse::places(std::vector<int> numbers) const {
    std::vector<int> place_of(given.size());
    for (size_t i = 0; i < given.size(); ++i) place_of[size_t(given[i])] = int(i);
    if (is_by_post()) {
        std::vector<int> starts;
        place_of = by_post(starts);
    }
    if (place_of.empty()) return numbers;
    for (int &number : numbers) number = place_of[size_t(number)];
    return numbers;
}

template <typename Array>
static void reorder(Array &values, int begin, const std::vector<int> &order) {
    if (values.empty()) return;
    Array row;
    for (int i : order) row.push_back(values[size_t(i)]);
    std::copy(row.begin(), row.end(), values.begin() + begin);
}

void Sparse::sort_by_delay() {
    std::vector<int> order;
    for (const auto &row : rows) {
        for (size_t i = 0; i + 1 < row.size(); ++i) {
            order.resize(size_t(row[i + 1] - row[i]));
            std::iota(order.begin(), order.end(), row[i]);
            std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
                return delay_of[size_t(a)] < delay_of[size_t(b)];
            });
            reorder(delay_of, row[i], order);
            reorder(post_of, row[i], order);
            reorder(given, row[i], order);
            for (const Member &member : members) {
                if (member.array) reorder(*member.array, row[i], order);
            }
        }
    }
}

std::vector<int> Sparse::by_post(std::vector<int> &starts) const {
    starts.assign(size_t(n_post) + 1, 0);
    for (int post : post_of) ++starts[size_t(post) + 1];
    for (size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
    std::vector<int> next(starts.begin(), starts.end() - 1), found(post_of.size());
    for (size_t i = 0; i < post_of.size(); ++i) found[size_t(next[size_t(post_of[i])]++)] = int(i);
    return found;
}

void Weighted::clear() {
    Sparse::clear();
    n_cells = 0;
    std::vector<bool>().swap(taken);
    std::vector<int>().swap(cell_of);
}

void Weighted::expect(int64_t size) {
    Sparse::expect(size);
    const int64_t wanted = int64_t(n_pre) * n_post;
    if (size >= wanted / 2 && size <= wanted && wanted <= INT32_MAX) taken.resize(size_t(wanted));
}

void Weighted::add(int64_t pre, int64_t post, int64_t delay) {
    Sparse::add(pre, post, delay);
    if (taken.empty()) return;
    const size_t cell = size_t(pre * n_post + post);
    if (taken[cell]) {
        std::vector<bool>().swap(taken);  // two connections of one pair
    } else {
        taken[cell] = true;
    }
}

void Weighted::allocate() {
    if (taken.empty() || !sequence.one_delay || sequence.size == 0) {
        std::vector<bool>().swap(taken);
        return Sparse::allocate();
    }
    n_cells = int64_t(taken.size());
    if (!sequence.by_pre && !sequence.by_post) cell_of.reserve(size_t(sequence.size));
    set_longest_delay(shared_delay = int(sequence.longest_delay));
}

size_t Weighted::put(int64_t pre, int64_t post, int64_t delay) {
    if (n_cells == 0) return Sparse::put(pre, post, delay);
    const int64_t cell = pre * n_post + post;
    if (!sequence.by_pre && !sequence.by_post) cell_of.push_back(int(cell));
    return size_t(cell);
}

void Weighted::complete() {
    if (n_cells == 0) Sparse::complete();
}

void Weighted::settle() {
    const auto differs = [&](real weight) { return weight != weights[0]; };
    is_same = !weights.empty() && std::none_of(weights.begin(), weights.end(), differs);
}

void Weighted::store(Values &array, const Column &values) const {
    if (n_cells == 0) return Sparse::store(array, values);
    each_cell([&](int64_t i, size_t cell) { array[cell] = values.number(i); });
}

void Weighted::load(const Values &array, real *values) const {
    if (n_cells == 0) return Sparse::load(array, values);
    each_cell([&](int64_t i, size_t cell) { values[i] = array[cell]; });
}

std::vector<int> Weighted::places(std::vector<int> numbers) const {
    if (n_cells == 0) return Sparse::places(std::move(numbers));
    std::vector<int> place_of(static_cast<size_t>(size()));
    each_cell([&](int64_t i, size_t cell) { place_of[size_t(i)] = int(cell); });
    for (int &number : numbers) number = place_of[size_t(number)];
    return numbers;
}
