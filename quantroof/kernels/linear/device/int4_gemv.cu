// y[M, N] = x[M, K] w[N, K]^T for up to 8 rows of bf16 activations and int4 weights in groups of 128.
//
// What Triton cannot express: a matrix instruction with 8 columns instead of 16, whose operand of weights comes
// straight from global memory into registers. No shared memory and no barrier until the end, so every warp
// streams on its own. Fragments are those of mma.m16n8k16 (PTX ISA): lane = 4 row + quad. K may be permuted
// as long as both operands agree, so a lane takes 16 neighboring columns of every 64.
//
//   packed  [N/32][K/128][tile 2][half 2][lane 32] uint4: word s holds step s of 16 columns, nibble 4 e + 2 p + h
//           is row 16 tile + 8 h + lane / 4, column 64 half + 16 (lane % 4) + 4 s + 2 p + e
//   scales  [N/32][K/128][row 8] uint2: bf16 of tile 0 h 0, tile 0 h 1, tile 1 h 0, tile 1 h 1
//
// 0x4300 | q is 128 + q in bf16, exactly. The 136 too much (128, and 8 for the code that means zero) is taken
// off again once for both tiles: -136 times the sum of the activations, by the same instruction.
// Grid: N / 32 blocks of WARPS warps; each warp takes its part of K, and the parts are added in order.

#define WARPS 8
#define DEPTH 3  // groups in flight: 192 bytes per thread, 48 KB per block
#define GROUP 128

#ifndef ON_HOST
__device__ __forceinline__ uint4 load_once(const uint4* at) {
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(at));
  return v;
}

// d += a b, a 16 x 16 and b 16 x 8 of bf16
__device__ __forceinline__ void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ unsigned codes_to_bf16(unsigned word) {
  unsigned pair;
  asm("lop3.b32 %0, %1, 0x000f000f, 0x43004300, 0xea;" : "=r"(pair) : "r"(word));
  return pair;
}
#endif

__device__ __forceinline__ unsigned word_of(const uint4& v, int index) {
  return index == 0 ? v.x : index == 1 ? v.y : index == 2 ? v.z : v.w;
}

__device__ __forceinline__ float low_half(unsigned pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high_half(unsigned pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ __forceinline__ unsigned short rounded(float value) {
  const unsigned bits = __float_as_uint(value);
  return value != value ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

struct Group {
  uint4 words[4];  // tile 0 half 0, tile 0 half 1, tile 1 half 0, tile 1 half 1
  uint2 scales;
};

__device__ __forceinline__ void load_group(Group& to, const uint4* packed, const uint2* scales) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to.words[i] = load_once(packed + 32 * i);
  to.scales = *scales;
}

__device__ __forceinline__ void load_activations(uint4 (&to)[4], const uint4* from, bool mine) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    to[i] = uint4{0, 0, 0, 0};
    if (mine) to[i] = from[i / 2 * 8 + i % 2];  // 64 columns are 8 times 16 bytes
  }
}

// One group of 32 rows: acc[tile] += scale (128 + q - 136) x
__device__ __forceinline__ void add_group(float (&acc)[2][4], const Group& group, const uint4 (&x)[4]) {
  const unsigned minus_136[4] = {0xc308c308u, 0xc308c308u, 0xc308c308u, 0xc308c308u};
  float offset[4] = {0, 0, 0, 0}, sum[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      const uint4& columns = x[2 * half + step / 2];
      const unsigned b0 = word_of(columns, step % 2 * 2), b1 = word_of(columns, step % 2 * 2 + 1);
      multiply_add(offset, minus_136, b0, b1);
#pragma unroll
      for (int tile = 0; tile < 2; ++tile) {
        const unsigned word = word_of(group.words[2 * tile + half], step);
        unsigned a[4];
#pragma unroll
        for (int r = 0; r < 4; ++r) a[r] = codes_to_bf16(word >> 4 * r);
        multiply_add(sum[tile], a, b0, b1);
      }
    }
  }
#pragma unroll
  for (int tile = 0; tile < 2; ++tile) {
    const unsigned pair = tile == 0 ? group.scales.x : group.scales.y;
#pragma unroll
    for (int i = 0; i < 4; ++i) acc[tile][i] += (sum[tile][i] + offset[i]) * (i < 2 ? low_half(pair) : high_half(pair));
  }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, 2)
int4_gemv(const unsigned short* __restrict__ x, const uint4* __restrict__ packed, const uint2* __restrict__ scales,
          unsigned short* __restrict__ y, int M, int N, int K) {
  __shared__ float parts[WARPS][8][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = lane / 4, quad = lane % 4;
  const int groups = K / GROUP, first = groups * warp / WARPS, last = groups * (warp + 1) / WARPS;
  const size_t start = (size_t)blockIdx.x * groups + first;
  packed += start * 128 + lane;
  scales += start * 8 + row;
  const bool mine = row < M;
  const uint4* columns = reinterpret_cast<const uint4*>(x + (size_t)(mine ? row : 0) * K + first * GROUP + quad * 16);

  Group ring[DEPTH];
  uint4 here[4];
  float acc[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};
#pragma unroll
  for (int d = 0; d < DEPTH; ++d)
    if (first + d < last) load_group(ring[d], packed + d * 128, scales + d * 8);

  for (int at = first; at < last; at += DEPTH) {
#pragma unroll
    for (int d = 0; d < DEPTH; ++d) {
      if (at + d >= last) break;
      load_activations(here, columns, mine);  // 2 bytes for 16 of weights, and in L1 after the first block
      columns += GROUP / 8;
      add_group(acc, ring[d], here);
      if (at + d + DEPTH < last) load_group(ring[d], packed + (d + DEPTH) * 128, scales + (d + DEPTH) * 8);
    }
    packed += DEPTH * 128;
    scales += DEPTH * 8;
  }

#pragma unroll
  for (int tile = 0; tile < 2; ++tile)
#pragma unroll
    for (int i = 0; i < 4; ++i) parts[warp][2 * quad + i % 2][16 * tile + 8 * (i / 2) + row] = acc[tile][i];
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int w = 0; w < WARPS; ++w) total += parts[w][warp][lane];  // warp: the row of x; lane: the column of y
  if (warp < M) y[(size_t)warp * N + 32 * blockIdx.x + lane] = rounded(total);
}
