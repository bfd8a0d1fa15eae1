// How connections are stored, read and set: the same for all programs of one precision.

#include "network.hpp"

void Connections::connect(const Column &pre, const Column &post, const Column &delays) {
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

void Connections::set(const Member &member, const Column &values) {
    if (member.single) {
        *member.single = values.number(0);
    } else {
        store(*member.array, values);
    }
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
    for (auto *array : {&post_of, &of_column, &given}) std::vector<int>().swap(*array);
    std::vector<uint16_t>().swap(delay_of);
    set_longest_delay(shared_delay = 1);
}

void Sparse::build(const Column &pre, const Column &post, const Column &delays) {
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

void Sparse::store(std::vector<real> &array, const Column &values) const {
    for (size_t i = 0; i < array.size(); ++i) {
        array[i] = values.number(given.empty() ? int64_t(i) : given[i]);
    }
}

void Sparse::load(const std::vector<real> &array, real *values) const {
    for (size_t i = 0; i < array.size(); ++i) values[given.empty() ? i : given[i]] = array[i];
}

void Sparse::sort(const Column &pre, const Column &post) {
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

void Sparse::set_delays(const Column &delays) {
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

void Sparse::index_columns() {
    for (int post : post_of) ++columns[size_t(post) + 1];
    for (size_t i = 1; i < columns.size(); ++i) columns[i] += columns[i - 1];
    std::vector<int> next(columns.begin(), columns.end() - 1);
    of_column.resize(post_of.size());
    for (size_t i = 0; i < post_of.size(); ++i) of_column[size_t(next[size_t(post_of[i])]++)] = int(i);
}

void Weighted::clear() {
    Sparse::clear();
    n_cells = 0;
    std::vector<int>().swap(cell_of);
}

void Weighted::build(const Column &pre, const Column &post, const Column &delays) {
    if (delays.size != 1 || !build_matrix(pre, post)) {
        Sparse::build(pre, post, delays);
    } else {
        set_longest_delay(shared_delay = int(delays.integer(0)));
    }
}

void Weighted::store(std::vector<real> &array, const Column &values) const {
    if (n_cells == 0) return Sparse::store(array, values);
    for (int64_t i = 0; i < n_given; ++i) array[cell(i)] = values.number(i);
}

void Weighted::load(const std::vector<real> &array, real *values) const {
    if (n_cells == 0) return Sparse::load(array, values);
    for (int64_t i = 0; i < n_given; ++i) values[i] = array[cell(i)];
}

bool Weighted::build_matrix(const Column &pre, const Column &post) {
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
