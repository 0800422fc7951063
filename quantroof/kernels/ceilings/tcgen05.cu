// One tensor-memory matrix instruction (sm_100a), to see whether a kind assembles and into what. Not for
// timing: neither tensor memory nor descriptors are set up.
//
// The host defines TCGEN05, the instruction without operands (such as "tcgen05.mma.cta_group::1.kind::f16"),
// and SCALES, the operand text of block scales, empty for the others.
#ifndef SCALES
#define SCALES ""
#endif

extern "C" __global__ void tcgen05_probe(unsigned d, unsigned long long a, unsigned long long b, unsigned shape,
                                         unsigned scales) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %4, 0;" TCGEN05 " [%0], %1, %2, %3" SCALES ", p; }"
               :
               : "r"(d), "l"(a), "l"(b), "r"(shape), "r"(scales)
               : "memory");
}
