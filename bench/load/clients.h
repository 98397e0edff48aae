/* Connections with questions outstanding on each, and what came of them. */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "histogram.h"
#include "questions.h"

/* What is counted between two moments. */
struct counts {
  uint64_t replies;
  struct histogram known;
  struct histogram unknown;
  struct histogram probes;
};

struct client;

struct load {
  uint16_t port;
  uint32_t connections;
  uint32_t outstanding;
  /* Questions after which a connection is closed and another opened; 0: none. */
  uint32_t questions_each;
  /* Connections with one question outstanding, counted apart. */
  uint32_t probes;
  /* Questions a second over all connections; 0: as fast as answers come. */
  double rate;
  /* Questions in all; 0: until `sending` ends. */
  uint64_t limit;

  struct questions questions;
  int epoll;
  bool sending;
  uint64_t sent;
  uint64_t answered;
  uint64_t wrong;
  /* Of the wrong ones, those that said "there is none". */
  uint64_t not_found;
  /* Connections that ended, were refused or spoke another protocol. */
  uint64_t broken;
  /* Questions that were on a connection when it ended. */
  uint64_t lost;
  struct client *clients;
  /* Those that wait for their turn at a steady rate: a ring with a place for each. */
  struct client **idle;
  uint32_t idle_head, idle_count;
  struct counts counts;
};

/* Nanoseconds that only ever pass. */
uint64_t now_ns(void);

/* Opens all connections and sends their first questions. */
void clients_start(struct load *load);

/* Handles what happened until `until` (nanoseconds) at most. */
void clients_wait(struct load *load, uint64_t until);

/* At a steady rate: sends one question that was due at `due`; false when no connection is free. */
bool clients_ask(struct load *load, uint64_t due);

/* Connections on which something was asked and no reply ever came. */
uint32_t clients_silent(const struct load *load);

#endif
