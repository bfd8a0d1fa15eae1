// Numbers of the cells or connections, from the start of a cache line on: a vector of the processor
// that lies across two lines takes twice as long.

#pragma once

#include <cstdlib>
#include <new>
#include <vector>

template <typename T>
struct LineAllocator {
    using value_type = T;

    LineAllocator() = default;
    template <typename U>
    LineAllocator(const LineAllocator<U> &) {}

    T *allocate(size_t n) {
        void *place = nullptr;
        if (posix_memalign(&place, 64, n * sizeof(T)) != 0) throw std::bad_alloc();
        return static_cast<T *>(place);
    }
    void deallocate(T *place, size_t) { std::free(place); }
};

template <typename T, typename U>
bool operator==(const LineAllocator<T> &, const LineAllocator<U> &) { return true; }
template <typename T, typename U>
bool operator!=(const LineAllocator<T> &, const LineAllocator<U> &) { return false; }

using Values = std::vector<real, LineAllocator<real>>;
