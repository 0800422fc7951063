// Rate of one mma.sync instruction: CHAINS independent accumulators per warp hide its latency.
//
// The host defines MMA, the instruction without operands (such as
// "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"), and one of ACC_F32 (4 floats), ACC_S32 (4 integers)
// or ACC_F16 (2 registers of two halves). Every m16n8 instruction so far takes A in 4 and B in 2 registers of
// 32 bits. SCALES is the operand text of block scales, empty for the others.
#ifndef CHAINS
#define CHAINS 8
#endif
#ifndef SCALES
#define SCALES ""
#endif

#if defined(ACC_F32)
typedef float Acc;
#define ACC_REGISTERS 4
#elif defined(ACC_S32)
typedef int Acc;
#define ACC_REGISTERS 4
#else
typedef unsigned Acc;
#define ACC_REGISTERS 2
#endif

__device__ __forceinline__ void multiply(Acc (&d)[ACC_REGISTERS], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(ACC_F32)
  asm volatile(MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}" SCALES ";"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#elif defined(ACC_S32)
  asm volatile(MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}" SCALES ";"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  asm volatile(MMA " {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%0,%1}" SCALES ";"
               : "+r"(d[0]), "+r"(d[1])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// `seed` fills the operands: power, hence the clock, depends on the bits that toggle.
extern "C" __global__ void mma_rate(const unsigned *__restrict__ seed, unsigned *__restrict__ out, int iterations) {
  const unsigned lane = threadIdx.x + blockIdx.x * blockDim.x;
  unsigned a[4], b[2];
  for (int i = 0; i < 4; i++) a[i] = seed[(lane * 4 + i) & 4095];
  for (int i = 0; i < 2; i++) b[i] = seed[(lane * 2 + i + 7) & 4095];
  Acc d[CHAINS][ACC_REGISTERS] = {};
#pragma unroll 1
  for (int n = 0; n < iterations; n++) {
#pragma unroll
    for (int chain = 0; chain < CHAINS; chain++) multiply(d[chain], a, b);
  }
  unsigned folded = 0;
  for (int chain = 0; chain < CHAINS; chain++)
    for (int i = 0; i < ACC_REGISTERS; i++) folded ^= *reinterpret_cast<unsigned *>(&d[chain][i]);
  out[lane] = folded;
}
