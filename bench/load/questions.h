/* What is asked, and the reply that is right, both framed for the wire. */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest request; what is longer is a mistake in the command line. */
#define MAX_REQUEST 1024

enum protocol { SOCKETMAP, TCP_TABLE };

/* A `#` in a template stands for the number of the question. */
struct template {
  const char *key;
  const char *reply;
};

struct question {
  const char *request;
  const char *reply;
  uint32_t request_length;
  uint32_t reply_length;
};

struct questions {
  enum protocol protocol;
  const char *map;
  struct template known;
  struct template unknown;
  /* Known ones, numbered from `first`, all in memory. */
  uint64_t count;
  uint64_t first;
  /* Of all, the part that is unknown: each of these is asked once only. */
  double unknown_part;
  bool in_order;

  struct question *all;
  uint64_t asked;
  /* The number of the next unknown one. */
  uint64_t unknown_asked;
  uint64_t random;
};

/* Builds all known questions. */
void questions_prepare(struct questions *questions);

/* The next one. Its request holds until the next call; its reply for good. Sets `unknown` to what it is. */
struct question questions_next(struct questions *questions, bool *unknown);

/*
 * The length of the reply at the beginning of `bytes`; 0 when it is not complete, -1 when it is none of this protocol.
 */
long questions_frame(const struct questions *questions, const char *bytes, size_t length);

#endif
