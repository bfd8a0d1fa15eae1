// Random numbers for the generated code, in place of the standard library's.
//
// std::mt19937 with std::normal_distribution takes several times longer, and what it draws differs
// from one standard library to another.

#pragma once

#include <cmath>
#include <cstdint>

// xoshiro256++ 1.0 (Blackman & Vigna 2021, ACM Trans. Math. Softw. 47:36), seeded by SplitMix64.
class Generator {
    uint64_t state[4];

    static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

  public:
    using result_type = uint64_t;

    explicit Generator(uint64_t seed) {
        for (uint64_t &word : state) {
            uint64_t z = (seed += 0x9e3779b97f4a7c15);
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }

    static constexpr uint64_t min() { return 0; }
    static constexpr uint64_t max() { return UINT64_MAX; }

    uint64_t operator()() {
        const uint64_t result = rotate(state[0] + state[3], 23) + state[0];
        const uint64_t shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = rotate(state[3], 45);
        return result;
    }

    double uniform() { return double((*this)() >> 11) / (uint64_t(1) << 53); }  // 0 to 1 - 2^-53
};

// Areas under the normal density (Marsaglia & Tsang 2000, J. Stat. Softw. 5(8)), 256 of them.
class Ziggurat {
    static constexpr double edge = 3.6541528853610088, area = 0.00492867323399;
    double right[257], ratio[256];

    double tail(Generator &generator) const {
        double x, y;
        do {
            x = std::log(1.0 - generator.uniform()) / edge;
            y = std::log(1.0 - generator.uniform());
        } while (-2.0 * y < x * x);
        return edge - x;
    }

  public:
    Ziggurat() {
        double density = std::exp(-0.5 * edge * edge);
        right[0] = area / density;
        right[1] = edge;
        right[256] = 0.0;
        for (int i = 2; i < 256; ++i) {
            right[i] = std::sqrt(-2.0 * std::log(area / right[i - 1] + density));
            density = std::exp(-0.5 * right[i] * right[i]);
        }
        for (int i = 0; i < 256; ++i) ratio[i] = right[i + 1] / right[i];
    }

    // The layer and the place in it come from different bits (Doornik 2005).
    double draw(Generator &generator) const {
        for (;;) {
            const uint64_t bits = generator();
            const int layer = int(bits & 255);
            const double u = double(int64_t(bits) >> 11) / (uint64_t(1) << 52);  // -1 to 1
            if (std::fabs(u) < ratio[layer]) return u * right[layer];
            if (layer == 0) return u < 0.0 ? -tail(generator) : tail(generator);
            const double x = u * right[layer];
            const double low = std::exp(-0.5 * (right[layer] * right[layer] - x * x));
            const double high = std::exp(-0.5 * (right[layer + 1] * right[layer + 1] - x * x));
            if (high + generator.uniform() * (low - high) < 1.0) return x;
        }
    }
};

static const Ziggurat ziggurat;

template <typename T>
class Normal {
    T mean, deviation;

  public:
    Normal(T mean, T deviation) : mean(mean), deviation(deviation) {}
    T operator()(Generator &generator) const { return mean + deviation * T(ziggurat.draw(generator)); }
};

template <typename T>
class Uniform {
    T low, width;

  public:
    Uniform(T low, T high) : low(low), width(high - low) {}
    T operator()(Generator &generator) const { return low + width * unit(generator, T()); }

  private:
    static double unit(Generator &generator, double) { return generator.uniform(); }
    static float unit(Generator &generator, float) { return float(generator() >> 40) / (1 << 24); }
};
