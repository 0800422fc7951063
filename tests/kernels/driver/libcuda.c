/* A stand-in for the CUDA driver library, for tests: it launches nothing, and checks what a driver would refuse.
 *
 * Triton's own launcher is linked against it, so arguments are parsed, tensor maps are encoded and shared memory is
 * requested as on an H200. `standin_take` hands out a line for each launch and tensor map since the last call.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

enum { SHARED_OPTIN = 232448, SHARED_DEFAULT = 49152, SM_COUNT = 132, LOG_BYTES = 1 << 20 };

struct function {
  char name[256];
  int dynamic_shared;
};

static char log_text[LOG_BYTES];
static size_t log_used;
static int context_object;

static void note(const char *line) {
  size_t size = strlen(line);
  if (log_used + size + 1 < LOG_BYTES) {
    memcpy(log_text + log_used, line, size);
    log_used += size;
  }
}

/* Copy what was noted since the last call; returns its size. */
size_t standin_take(char *target, size_t room) {
  size_t size = log_used < room ? log_used : room;
  memcpy(target, log_text, size);
  log_used = 0;
  return size;
}

CUresult cuInit(unsigned flags) { (void)flags; return CUDA_SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { *context = (CUcontext)&context_object; return CUDA_SUCCESS; }
CUresult cuCtxGetDevice(CUdevice *device) { *device = 0; return CUDA_SUCCESS; }
CUresult cuCtxSetCurrent(CUcontext context) { (void)context; return CUDA_SUCCESS; }
CUresult cuCtxGetLimit(size_t *value, CUlimit limit) { (void)limit; *value = 1 << 20; return CUDA_SUCCESS; }
CUresult cuCtxSetLimit(CUlimit limit, size_t value) { (void)limit; (void)value; return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  (void)device;
  *context = (CUcontext)&context_object;
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  (void)stream;
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
  static char words[64];
  snprintf(words, sizeof words, "the stand-in refuses with %d", (int)error);
  *text = words;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  (void)device;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = SHARED_OPTIN; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = SHARED_OPTIN + 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK: *value = 65536; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = SM_COUNT; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: *value = 1980000; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
    default: *value = 1;
  }
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) { *module = (CUmodule)image; return CUDA_SUCCESS; }
CUresult cuModuleUnload(CUmodule module) { (void)module; return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  struct function *made = calloc(1, sizeof *made);
  (void)module;
  strncpy(made->name, name, sizeof made->name - 1);
  *function = (CUfunction)made;
  return CUDA_SUCCESS;
}
CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) {
  (void)function; (void)config;
  return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
  (void)function;
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 0;
  return CUDA_SUCCESS;
}
/* A driver of CUDA 13.0 refuses attributes that came later, such as the oversized shared memory that Triton 3.9 tries. */
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  if (attribute == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) return CUDA_SUCCESS;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value > SHARED_OPTIN) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  ((struct function *)function)->dynamic_shared = value;
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int *count, CUfunction function, const CUlaunchConfig *config) {
  (void)function; (void)config;
  *count = 1;
  return CUDA_SUCCESS;
}
CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr pointer) {
  (void)attribute;
  *(uint64_t *)value = pointer;
  return CUDA_SUCCESS;
}

static int element_bytes(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8: return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64: return 8;
    default: return 4;
  }
}

/* The rules are those of the driver's documentation of cuTensorMapEncodeTiled. */
static const char *broken_rule(const CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, const void *address,
                               const cuuint64_t *sizes, const cuuint64_t *strides, const cuuint32_t *box,
                               CUtensorMapSwizzle swizzle) {
  uint64_t row = (uint64_t)box[0] * element_bytes(type);
  uint64_t span = swizzle == CU_TENSOR_MAP_SWIZZLE_32B   ? 32
                  : swizzle == CU_TENSOR_MAP_SWIZZLE_64B ? 64
                  : swizzle == CU_TENSOR_MAP_SWIZZLE_NONE ? 0 : 128;
  if (rank < 1 || rank > 5) return "rank";
  if ((uintptr_t)map % 64) return "map-alignment";
  if ((uintptr_t)address % 16) return "address-alignment";
  for (cuuint32_t i = 0; i < rank; i++) {
    if (sizes[i] < 1 || sizes[i] > (1ull << 32)) return "size";
    if (box[i] < 1 || box[i] > 256) return "box";
    if (i + 1 < rank && (strides[i] % 16 || strides[i] >= (1ull << 40))) return "stride";
  }
  if (row % 16) return "box-row";
  if (span && row > span) return "swizzle";
  return NULL;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
                                const cuuint64_t *sizes, const cuuint64_t *strides, const cuuint32_t *box,
                                const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill) {
  const char *rule = broken_rule(map, type, rank, address, sizes, strides, box, swizzle);
  char line[160];
  (void)steps; (void)interleave; (void)promotion; (void)fill;
  snprintf(line, sizeof line, "map box=%ux%u rule=%s\n", box[0], rank > 1 ? box[1] : 1, rule ? rule : "-");
  note(line);
  return rule ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
  const struct function *launched = (const struct function *)function;
  const char *rule = NULL;
  char line[400];
  (void)parameters; (void)extra;
  if (config->sharedMemBytes > SHARED_DEFAULT && launched->dynamic_shared < (int)config->sharedMemBytes) rule = "shared";
  if (config->blockDimX * config->blockDimY * config->blockDimZ > 1024) rule = "block";
  if (!config->gridDimX || !config->gridDimY || !config->gridDimZ) rule = "empty-grid";
  if (config->gridDimY > 65535 || config->gridDimZ > 65535) rule = "grid";
  snprintf(line, sizeof line, "launch %s stream=%p shared=%u rule=%s\n", launched->name, (void *)config->hStream,
           config->sharedMemBytes, rule ? rule : "-");
  note(line);
  return rule ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
