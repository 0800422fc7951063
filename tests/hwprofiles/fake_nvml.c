/* A driver's NVML in the small, for tests: H100-like boards whose answers come from FAKE_* variables.
   Built with -DOLD it lacks what drivers before R535 lack. Handles are 1 + index; slices 1000 + 10 * index. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7 };
typedef size_t Handle;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int pid; unsigned long long used; unsigned int gpu, compute; } Process;
typedef struct {
  unsigned int sms, copy, decoder, encoder, jpeg, ofa, gpu_slices, compute_slices;
  unsigned long long memory_mb;
} Attributes;

static long number(const char *name, long fallback) {
  const char *text = getenv(name);
  return text ? strtol(text, 0, 0) : fallback;
}
static int slice_of(Handle handle) { return handle >= 1000 ? (int)(handle % 10) : -1; }
static int board_of(Handle handle) { return handle >= 1000 ? (int)(handle - 1000) / 10 : (int)handle - 1; }
static int set(unsigned int *to, long value) { return value < 0 ? NOT_SUPPORTED : (*to = (unsigned)value, OK); }

static void note(const char *what) { /* a line for each start and end, where FAKE_LOG names a file */
  FILE *log = getenv("FAKE_LOG") ? fopen(getenv("FAKE_LOG"), "a") : 0;
  if (log) fprintf(log, "%s\n", what), fclose(log);
}
int nvmlInitWithFlags(unsigned flags) { (void)flags; note("init"); return (int)number("FAKE_INIT", OK); }
int nvmlShutdown(void) { note("shutdown"); return OK; }
const char *nvmlErrorString(int code) { static char text[32]; snprintf(text, 32, "fake error %d", code); return text; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { snprintf(to, size, "580.159.04"); return OK; }
int nvmlDeviceGetCount_v2(unsigned *to) { return set(to, number("FAKE_COUNT", 1)); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, Handle *to) {
  if (index == (unsigned)number("FAKE_LOST", -1)) return 15; /* GPU is lost */
  *to = 1 + index;
  return OK;
}
int nvmlDeviceGetUUID(Handle h, char *to, unsigned size) {
  if (slice_of(h) < 0) snprintf(to, size, "GPU-%08d-0000-4000-8000-000000000000", board_of(h));
  else snprintf(to, size, "MIG-%08d-000%d-4000-8000-000000000000", board_of(h), slice_of(h));
  return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, Handle *to) {
  int board, slice;
  if (sscanf(uuid, "GPU-%8d", &board) == 1) return *to = 1 + board, OK;
  if (sscanf(uuid, "MIG-%8d-000%1d", &board, &slice) == 2) return *to = 1000 + 10 * board + slice, OK;
  return NOT_FOUND;
}
int nvmlDeviceGetName(Handle h, char *to, unsigned size) {
  const char *name = getenv("FAKE_NAME") ? getenv("FAKE_NAME") : "NVIDIA H100 80GB HBM3";
  snprintf(to, size, slice_of(h) < 0 ? "%s" : "%s MIG 3g.40gb", name);
  return OK;
}
int nvmlDeviceGetCudaComputeCapability(Handle h, int *major, int *minor) { (void)h; *major = 9; *minor = 0; return OK; }
int nvmlDeviceGetMemoryInfo(Handle h, Memory *to) {
  if (number("FAKE_ALL", OK) != OK) return (int)number("FAKE_ALL", OK);
  to->total = slice_of(h) < 0 ? number("FAKE_MEMORY", 85520809984) : 42144366592;
  to->used = number("FAKE_USED", 600000000);
  to->free = to->total - to->used;
  return OK;
}
int nvmlDeviceGetMemoryBusWidth(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_BUS", 5120)); }
int nvmlDeviceGetMaxClockInfo(Handle h, int which, unsigned *to) {
  (void)h;
  return set(to, which == 1 ? number("FAKE_MAX_SM", 1980) : number("FAKE_MAX_MEMORY", 2619));
}
int nvmlDeviceGetClockInfo(Handle h, int which, unsigned *to) { (void)h; return set(to, which == 1 ? 345 : 2619); }
int nvmlDeviceGetPowerManagementLimit(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_POWER", 700000)); }
int nvmlDeviceGetPowerManagementDefaultLimit(Handle h, unsigned *to) { (void)h; return set(to, 700000); }
int nvmlDeviceGetPowerUsage(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_DRAW", 74000)); }
int nvmlDeviceGetTemperature(Handle h, int sensor, unsigned *to) { (void)h; (void)sensor; return set(to, 41); }
int nvmlDeviceGetPersistenceMode(Handle h, unsigned *to) { (void)h; return set(to, 1); }
int nvmlDeviceGetEccMode(Handle h, unsigned *now, unsigned *next) {
  (void)h;
  return set(next, 1) || set(now, number("FAKE_ECC", 1));
}
int nvmlDeviceGetTotalEccErrors(Handle h, int kind, int since, unsigned long long *to) {
  (void)h; (void)kind; (void)since;
  *to = number("FAKE_ECC_ERRORS", 0);
  return OK;
}
int nvmlDeviceGetCurrPcieLinkGeneration(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_GENERATION", 5)); }
int nvmlDeviceGetMaxPcieLinkGeneration(Handle h, unsigned *to) { (void)h; return set(to, 5); }
int nvmlDeviceGetCurrPcieLinkWidth(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_LANES", 16)); }
int nvmlDeviceGetMaxPcieLinkWidth(Handle h, unsigned *to) { (void)h; return set(to, 16); }
int nvmlDeviceGetTotalEnergyConsumption(Handle h, unsigned long long *to) {
  (void)h;
  *to = 2647576;
  return number("FAKE_NO_ENERGY", 0) ? NOT_SUPPORTED : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(Handle h, unsigned *count, Process *to) {
  unsigned busy = (unsigned)number("FAKE_PROCESSES", 0), room = *count;
  (void)h;
  if (number("FAKE_FORBIDDEN", 0)) return NO_PERMISSION;
  *count = busy;
  if (room < busy) return TOO_SMALL;
  for (unsigned i = 0; i < busy; i++) to[i] = (Process){4242 + i, 1 << 30, 0, 0};
  return OK;
}
int nvmlDeviceGetRemappedRows(Handle h, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
  (void)h;
  *corrected = *uncorrected = *failed = 0;
  *pending = (unsigned)number("FAKE_ROWS_PENDING", 0);
  return OK;
}
int nvmlDeviceGetMigMode(Handle h, unsigned *now, unsigned *next) { (void)h; *now = *next = number("FAKE_MIG", 0) > 0; return OK; }
int nvmlDeviceGetMaxMigDeviceCount(Handle h, unsigned *to) { (void)h; return set(to, 7); }
int nvmlDeviceGetMigDeviceHandleByIndex(Handle h, unsigned index, Handle *to) {
  if (index % 2 || (long)index / 2 >= number("FAKE_MIG", 0)) return NOT_FOUND; /* numbers have gaps */
  *to = 1000 + 10 * board_of(h) + index / 2;
  return OK;
}
int nvmlDeviceGetAttributes_v2(Handle h, Attributes *to) {
  if (slice_of(h) < 0) return INVALID;
  *to = (Attributes){.sms = 60, .gpu_slices = 3, .compute_slices = 3, .memory_mb = 40192};
  return OK;
}
#ifndef OLD
int nvmlDeviceGetVbiosVersion(Handle h, char *to, unsigned size) { (void)h; snprintf(to, size, "96.00.74.00.01"); return OK; }
int nvmlDeviceGetNumGpuCores(Handle h, unsigned *to) { (void)h; return set(to, number("FAKE_CORES", 16896)); }
int nvmlDeviceGetCurrentClocksEventReasons(Handle h, unsigned long long *to) {
  (void)h;
  *to = number("FAKE_REASONS", 1);
  return OK;
}
#endif
