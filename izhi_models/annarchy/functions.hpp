// Functions that the printed equations call.

#pragma once

#include <cmath>

template <int exponent, typename T>
inline T whole_power(T base) {
    T result = base;
    for (int i = 1; i < exponent; ++i) result *= base;
    return result;
}

template <typename T>
inline T heaviside(T x) { return x > 0 ? T(1) : x < 0 ? T(0) : T(0.5); }

template <typename T>
inline T factorial(T x) { return std::tgamma(x + 1); }
