// What lies on the chip: bandwidth of the L2 and of shared memory, rate of fp32 multiply-adds.
typedef unsigned long long Count;

__device__ __forceinline__ unsigned fold(uint4 v) { return v.x ^ v.y ^ v.z ^ v.w; }

// The whole array, `passes` times, by loads that skip the L1 (.cg). The array fits the L2; every pass
// starts elsewhere, so that the blocks do not march in step through the slices of the L2.
extern "C" __global__ void l2_read(const uint4 *__restrict__ a, Count count, int passes,
                                   unsigned *__restrict__ sink) {
  const Count stride = gridDim.x * (Count)blockDim.x;
  unsigned folded = 0;
  for (int pass = 0; pass < passes; pass++) {
    const Count shift = pass * (Count)blockDim.x * 17 % count;
    for (Count i = blockIdx.x * (Count)blockDim.x + threadIdx.x; i < count; i += stride) {
      const Count place = i + shift < count ? i + shift : i + shift - count;
      uint4 word;
      asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];"
                   : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w)
                   : "l"(a + place));
      folded ^= fold(word);
    }
  }
  if (folded == 0x9e3779b9u) *sink = folded;
}

// 16 bytes per thread and load without bank conflicts; the loads are volatile, so that none is optimized away.
#define SHARED_WORDS 1024
#define SHARED_UNROLL 16
extern "C" __global__ void shared_read(int passes, unsigned *__restrict__ sink) {
  __shared__ uint4 words[SHARED_WORDS];
  for (int i = threadIdx.x; i < SHARED_WORDS; i += blockDim.x) words[i] = make_uint4(i, i, i, i);
  __syncthreads();
  const unsigned base = (unsigned)__cvta_generic_to_shared(words);
  unsigned folded = 0;
#pragma unroll 1
  for (int pass = 0; pass < passes; pass++) {
#pragma unroll
    for (int u = 0; u < SHARED_UNROLL; u++) {
      uint4 word;
      const unsigned place = base + ((threadIdx.x + u * 32) & (SHARED_WORDS - 1)) * 16;
      asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                   : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w)
                   : "r"(place));
      folded ^= fold(word);
    }
  }
  if (folded == 0x9e3779b9u) *sink = folded;
}

// Eight independent chains per thread hide the latency of an FMA.
#define FMA_CHAINS 8
#define FMA_UNROLL 16
extern "C" __global__ void fma_rate(int passes, float factor, float *__restrict__ out) {
  float x[FMA_CHAINS];
  for (int chain = 0; chain < FMA_CHAINS; chain++) x[chain] = threadIdx.x * 1e-3f + chain;
#pragma unroll 1
  for (int pass = 0; pass < passes; pass++) {
#pragma unroll
    for (int u = 0; u < FMA_UNROLL; u++)
#pragma unroll
      for (int chain = 0; chain < FMA_CHAINS; chain++) x[chain] = fmaf(x[chain], factor, 1e-3f);
  }
  float sum = 0;
  for (int chain = 0; chain < FMA_CHAINS; chain++) sum += x[chain];
  out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
