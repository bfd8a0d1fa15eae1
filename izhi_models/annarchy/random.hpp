// Random numbers for the cells, drawn for many at once.
//
// std::mt19937 with std::normal_distribution takes many times longer, and what it draws differs
// from one standard library to another.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

// Eight generators xoshiro256++ 1.0 side by side, so that the compiler can use vectors (Blackman &
// Vigna 2021, ACM Trans. Math. Softw. 47:36), seeded by SplitMix64.
class Generator {
    static constexpr int n_lanes = 8;
    uint64_t state[4][n_lanes];
    uint64_t pool[n_lanes];  // for single numbers
    int n_left = 0;

    static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

    void step(uint64_t *words) {
#pragma omp simd
        for (int i = 0; i < n_lanes; ++i) {
            words[i] = rotate(state[0][i] + state[3][i], 23) + state[0][i];
            const uint64_t shifted = state[1][i] << 17;
            state[2][i] ^= state[0][i];
            state[3][i] ^= state[1][i];
            state[1][i] ^= state[2][i];
            state[0][i] ^= state[3][i];
            state[2][i] ^= shifted;
            state[3][i] = rotate(state[3][i], 45);
        }
    }

  public:
    explicit Generator(uint64_t seed) {
        for (auto &row : state) {
            for (uint64_t &word : row) {
                uint64_t z = (seed += 0x9e3779b97f4a7c15);
                z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
                z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
                word = z ^ (z >> 31);
            }
        }
    }

    // Fills whole vectors: `words` has room for n rounded up to a multiple of 8.
    void fill(uint64_t *words, int n) {
        for (int i = 0; i < n; i += n_lanes) step(words + i);
    }

    uint64_t next() {
        if (n_left == 0) {
            step(pool);
            n_left = n_lanes;
        }
        return pool[--n_left];
    }

    double uniform() { return to_unit(next()); }

    static double to_unit(uint64_t word) {  // 0 to 1 - 2^-53
        return double(int64_t(word >> 11)) * (1.0 / (int64_t(1) << 53));
    }
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
    static double place(uint64_t word) {  // -1 to 1
        return double(int64_t(word) >> 11) * (1.0 / (int64_t(1) << 52));
    }

    double first_try(uint64_t word) const { return place(word) * right[word & 255]; }

    bool is_inside(uint64_t word) const { return std::fabs(place(word)) < ratio[word & 255]; }

    // What comes of a word that is not inside its layer.
    double retry(uint64_t word, Generator &generator) const {
        for (;; word = generator.next()) {
            const int layer = int(word & 255);
            const double u = place(word), x = u * right[layer];
            if (std::fabs(u) < ratio[layer]) return x;
            if (layer == 0) return u < 0.0 ? -tail(generator) : tail(generator);
            const double low = std::exp(-0.5 * (right[layer] * right[layer] - x * x));
            const double high = std::exp(-0.5 * (right[layer + 1] * right[layer + 1] - x * x));
            if (high + generator.uniform() * (low - high) < 1.0) return x;
        }
    }
};

static const Ziggurat ziggurat;

// The most numbers that are drawn at once.
constexpr int block_size = 256;

template <typename T>
class Normal {
    T mean, deviation;

  public:
    Normal(T mean, T deviation) : mean(mean), deviation(deviation) {}

    void fill(Generator &generator, T *values, int n) const {
        uint64_t words[block_size];
        int outside[block_size], n_outside = 0;
        generator.fill(words, n);
#pragma omp simd
        for (int i = 0; i < n; ++i) values[i] = mean + deviation * T(ziggurat.first_try(words[i]));
        for (int i = 0; i < n; ++i) {
            outside[n_outside] = i;
            n_outside += !ziggurat.is_inside(words[i]);
        }
        for (int k = 0; k < n_outside; ++k) {
            const double draw = ziggurat.retry(words[outside[k]], generator);
            values[outside[k]] = mean + deviation * T(draw);
        }
    }
};

template <typename T>
class Uniform {
    T low, width;

  public:
    Uniform(T low, T high) : low(low), width(high - low) {}

    void fill(Generator &generator, T *values, int n) const {
        uint64_t words[block_size];
        generator.fill(words, n);
#pragma omp simd
        for (int i = 0; i < n; ++i) values[i] = low + width * unit(words[i], T());
    }

  private:
    static double unit(uint64_t word, double) { return Generator::to_unit(word); }
    static float unit(uint64_t word, float) { return float(int32_t(word >> 40)) * (1.0f / (1 << 24)); }
};
