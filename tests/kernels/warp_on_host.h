// CUDA C++ on a CPU, as much of it as linear/device/int4_gemv.cu uses: one thread per lane, one block at a time.
// The matrix instruction is written from the fragment tables of the PTX ISA (mma.m16n8k16, bf16).
#include <pthread.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#define ON_HOST
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct Index { int x; };
static thread_local Index threadIdx, blockIdx;

inline float __uint_as_float(unsigned bits) { float value; std::memcpy(&value, &bits, 4); return value; }
inline unsigned __float_as_uint(float value) { unsigned bits; std::memcpy(&bits, &value, 4); return bits; }

struct Barrier {
  pthread_barrier_t all;
  explicit Barrier(int threads) { pthread_barrier_init(&all, nullptr, threads); }
  ~Barrier() { pthread_barrier_destroy(&all); }
  void arrive_and_wait() { pthread_barrier_wait(&all); }
};

struct Warp {
  unsigned a[32][4], b[32][2];
  Barrier together{32};
};
static std::vector<std::unique_ptr<Warp>> warps;
static std::unique_ptr<Barrier> block;
inline void __syncthreads() { block->arrive_and_wait(); }

inline uint4 load_once(const uint4* at) { return *at; }
inline unsigned codes_to_bf16(unsigned word) { return (word & 0x000f000f) | 0x43004300; }
inline float element(unsigned pair, int index) { return __uint_as_float(pair >> 16 * index << 16); }

inline void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Warp& warp = *warps[threadIdx.x / 32];
  const int lane = threadIdx.x % 32;
  std::memcpy(warp.a[lane], a, sizeof a);
  warp.b[lane][0] = b0, warp.b[lane][1] = b1;
  warp.together.arrive_and_wait();
  for (int i = 0; i < 4; ++i) {
    const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
    double sum = 0;
    for (int k = 0; k < 16; ++k) {
      const int quad = k % 8 / 2, high = k / 8;
      const unsigned left = warp.a[4 * (row % 8) + quad][row / 8 + 2 * high], right = warp.b[4 * column + quad][high];
      sum += double(element(left, k % 2)) * element(right, k % 2);
    }
    d[i] += float(sum);
  }
  warp.together.arrive_and_wait();
}

template <typename Body> void run_blocks(int blocks, int threads, Body body) {
  for (int index = 0; index < blocks; ++index) {
    block = std::make_unique<Barrier>(threads);
    warps.clear();
    for (int w = 0; w < threads / 32; ++w) warps.push_back(std::make_unique<Warp>());
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) running.emplace_back([=] { threadIdx.x = t, blockIdx.x = index; body(); });
    for (auto& thread : running) thread.join();
  }
}
