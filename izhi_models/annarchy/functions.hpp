// Functions that the printed equations call.

#pragma once

template <int exponent, typename T>
inline T whole_power(T base) {
    T result = base;
    for (int i = 1; i < exponent; ++i) result *= base;
    return result;
}
