/* Latencies in nanoseconds, counted in steps of at most 1/64 of their size, as an HDR histogram does. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

#define STEP_BITS 6
#define STEPS (1u << STEP_BITS)

struct histogram {
  uint64_t count;
  uint64_t max;
  uint64_t slots[(64 - STEP_BITS) * STEPS + STEPS];
};

static inline void histogram_add(struct histogram *h, uint64_t value) {
  int shift = value < STEPS ? 0 : 63 - __builtin_clzll(value) - STEP_BITS;
  h->slots[((unsigned)shift << STEP_BITS) + (value >> shift)]++;
  h->count++;
  if (value > h->max) h->max = value;
}

/* The value that the part `part` (0 to 1) of all did not exceed; 0 where there is none. */
static inline uint64_t histogram_at(const struct histogram *h, double part) {
  uint64_t wanted = (uint64_t)(part * (double)h->count), seen = 0;
  if (wanted >= h->count) return h->max;
  for (unsigned slot = 0;; slot++) {
    seen += h->slots[slot];
    if (seen <= wanted) continue;
    unsigned shift = slot < 2 * STEPS ? 0 : (slot >> STEP_BITS) - 1;
    uint64_t end = ((uint64_t)(slot - (shift << STEP_BITS) + 1) << shift) - 1;
    return end < h->max ? end : h->max;
  }
}

#endif
