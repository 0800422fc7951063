// DRAM bandwidth: read, write, copy and triad in accesses of 16 bytes, UNROLL of them in flight per thread.
//
// `count` counts 16-byte words. Blocks stride over the whole array, so that every SM has work to the end.
#ifndef UNROLL
#define UNROLL 8
#endif

typedef unsigned long long Count;
#define FIRST (blockIdx.x * (Count)blockDim.x + threadIdx.x)
#define STRIDE (gridDim.x * (Count)blockDim.x)

__device__ __forceinline__ unsigned fold(uint4 v) { return v.x ^ v.y ^ v.z ^ v.w; }

// Every word is used, so that no load can be left out; the store almost never happens.
extern "C" __global__ void stream_read(const uint4 *__restrict__ a, Count count, unsigned *__restrict__ sink) {
  unsigned folded = 0;
  Count i = FIRST;
  for (; i + (UNROLL - 1) * STRIDE < count; i += UNROLL * STRIDE) {
    uint4 words[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) words[u] = __ldcs(&a[i + u * STRIDE]);
#pragma unroll
    for (int u = 0; u < UNROLL; u++) folded ^= fold(words[u]);
  }
  for (; i < count; i += STRIDE) folded ^= fold(__ldcs(&a[i]));
  if (folded == 0x9e3779b9u) *sink = folded;
}

// The words differ, because memory may be spared toggling (and a GPU may compress) what is constant.
extern "C" __global__ void stream_write(uint4 *__restrict__ a, Count count, unsigned seed) {
  for (Count i = FIRST; i < count; i += STRIDE) {
    const unsigned v = (unsigned)i * 2654435761u ^ seed;
    __stcs(&a[i], make_uint4(v, v ^ 0x5bd1e995u, v * 3u, ~v));
  }
}

extern "C" __global__ void stream_copy(uint4 *__restrict__ a, const uint4 *__restrict__ b, Count count) {
  Count i = FIRST;
  for (; i + (UNROLL - 1) * STRIDE < count; i += UNROLL * STRIDE) {
    uint4 words[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) words[u] = __ldcs(&b[i + u * STRIDE]);
#pragma unroll
    for (int u = 0; u < UNROLL; u++) __stcs(&a[i + u * STRIDE], words[u]);
  }
  for (; i < count; i += STRIDE) __stcs(&a[i], __ldcs(&b[i]));
}

extern "C" __global__ void stream_triad(float4 *__restrict__ a, const float4 *__restrict__ b,
                                        const float4 *__restrict__ c, Count count, float scale) {
  for (Count i = FIRST; i < count; i += STRIDE) {
    const float4 x = __ldcs(&b[i]), y = __ldcs(&c[i]);
    __stcs(&a[i], make_float4(x.x + scale * y.x, x.y + scale * y.y, x.z + scale * y.z, x.w + scale * y.w));
  }
}
