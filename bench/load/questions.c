#include "questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes `template` with `number` for each `#` to `out`; returns the length. */
static size_t fill(char *out, const char *template, uint64_t number) {
  char *end = out;
  for (const char *at = template; *at != '\0'; at++) {
    if (end - out > MAX_REQUEST - 32) {
      fprintf(stderr, "load: too long: %s\n", template);
      exit(2);
    }
    if (*at == '#') end += sprintf(end, "%llu", (unsigned long long)number);
    else *end++ = *at;
  }
  *end = '\0';
  return (size_t)(end - out);
}

static size_t frame_request(const struct questions *q, char *out, const char *template, uint64_t number) {
  char key[MAX_REQUEST];
  size_t length = fill(key, template, number);
  if (q->protocol == TCP_TABLE) return (size_t)snprintf(out, MAX_REQUEST, "get %s\n", key);
  return (size_t)snprintf(out, MAX_REQUEST, "%zu:%s %s,", strlen(q->map) + 1 + length, q->map, key);
}

static size_t frame_reply(const struct questions *q, char *out, const char *template, uint64_t number) {
  char text[MAX_REQUEST];
  size_t length = fill(text, template, number);
  if (q->protocol == TCP_TABLE) return (size_t)snprintf(out, MAX_REQUEST, "%s\n", text);
  return (size_t)snprintf(out, MAX_REQUEST, "%zu:%s,", length, text);
}

static const char *keep(const char *bytes, size_t length) {
  static char *room;
  static size_t left;
  if (left < length) {
    left = 1 << 20;
    room = malloc(left);
    if (room == NULL) abort();
  }
  char *kept = memcpy(room, bytes, length);
  room += length;
  left -= length;
  return kept;
}

static struct question build(const struct questions *q, const struct template *t, uint64_t number) {
  char request[MAX_REQUEST], reply[MAX_REQUEST];
  struct question question;
  question.request_length = (uint32_t)frame_request(q, request, t->key, number);
  question.reply_length = (uint32_t)frame_reply(q, reply, t->reply, number);
  question.request = keep(request, question.request_length);
  question.reply = keep(reply, question.reply_length);
  return question;
}

void questions_prepare(struct questions *q) {
  q->random = 0x9e3779b97f4a7c15u;
  q->all = calloc(q->count, sizeof *q->all);
  if (q->all == NULL) abort();
  for (uint64_t n = 0; n < q->count; n++) q->all[n] = build(q, &q->known, q->first + n);
}

/* xorshift64 */
static uint64_t draw(struct questions *q) {
  q->random ^= q->random << 13;
  q->random ^= q->random >> 7;
  q->random ^= q->random << 17;
  return q->random;
}

static struct question next_unknown(struct questions *q) {
  static char request[MAX_REQUEST];
  static struct question question;
  if (question.reply == NULL) question = build(q, &q->unknown, 0);
  question.request_length = (uint32_t)frame_request(q, request, q->unknown.key, q->unknown_asked++);
  question.request = request;
  return question;
}

struct question questions_next(struct questions *q, bool *unknown) {
  *unknown = q->unknown_part > 0 && (double)(draw(q) >> 11) < q->unknown_part * 0x1p53;
  if (*unknown) return next_unknown(q);
  uint64_t number = q->in_order ? q->asked : draw(q) >> 16;
  q->asked++;
  return q->all[number % q->count];
}

long questions_frame(const struct questions *q, const char *bytes, size_t length) {
  if (q->protocol == TCP_TABLE) {
    const char *end = memchr(bytes, '\n', length);
    return end == NULL ? 0 : end - bytes + 1;
  }
  size_t content = 0, at = 0;
  while (at < length && bytes[at] >= '0' && bytes[at] <= '9' && at < 7) content = content * 10 + (size_t)(bytes[at++] - '0');
  if (at == length) return at < 7 ? 0 : -1;
  if (at == 0 || bytes[at] != ':') return -1;
  size_t whole = at + 1 + content + 1;
  if (whole > length) return 0;
  return bytes[whole - 1] == ',' ? (long)whole : -1;
}
