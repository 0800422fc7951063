// One warpgroup matrix instruction (sm_90a), to see whether a format assembles and into what. Not for timing:
// the descriptors point at shared memory that nobody filled.
//
// The host defines WGMMA, the instruction without operands (such as
// "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16"), TAIL, its operands after the descriptors (floating
// formats have scale factors, integers only the predicate), and ACC_F32, ACC_S32 or ACC_F16.
#if defined(ACC_F32)
typedef float Acc;
#define TO "+f"
#elif defined(ACC_S32)
typedef int Acc;
#define TO "+r"
#else
typedef unsigned Acc;
#define TO "+r"
#endif

extern "C" __global__ void wgmma_probe(Acc *out, unsigned long long a, unsigned long long b) {
  Acc d[4] = {out[0], out[1], out[2], out[3]};
  asm volatile("wgmma.fence.sync.aligned;");
#if defined(ACC_F16)
  asm volatile("{ .reg .pred p; setp.ne.b32 p, 1, 0;" WGMMA " {%0,%1}, %2, %3, " TAIL "; }"
               : TO(d[0]), TO(d[1])
               : "l"(a), "l"(b));
#else
  asm volatile("{ .reg .pred p; setp.ne.b32 p, 1, 0;" WGMMA " {%0,%1,%2,%3}, %4, %5, " TAIL "; }"
               : TO(d[0]), TO(d[1]), TO(d[2]), TO(d[3])
               : "l"(a), "l"(b));
#endif
  asm volatile("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;");
  for (int i = 0; i < 4; i++) out[threadIdx.x * 4 + i] = d[i];
}
