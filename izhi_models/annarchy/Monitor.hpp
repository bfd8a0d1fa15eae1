// What ANNarchy's core calls at the end of each step, also with threads; in place of its own class of
// this name, whose monitors keep one vector per step.

#pragma once

#include <cstddef>

struct Monitor {
    virtual ~Monitor() = default;
    virtual void record() = 0;
    virtual void record_targets() {}
    virtual size_t estimate_size_in_bytes(int) { return 0; }
};
