/*
 * Asks a lookup server as Postfix does, checks every reply to the last byte, and prints what it saw as JSON. One thread,
 * so that it can be kept on one core; bench/load.ts starts it, and says there what its arguments mean.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clients.h"

#define SECOND 1000000000.0
/* How long outstanding answers are waited for at the end. */
#define PATIENCE_SECONDS 30

struct run {
  double warm_up;
  double seconds;
  long pid;
};

enum argument {
  PORT = 1, PROTOCOL, MAP, CONNECTIONS, OUTSTANDING, EACH, PROBES, RATE, LIMIT, KEY, REPLY, UNKNOWN_KEY, UNKNOWN_REPLY,
  UNKNOWN_PART, UNKNOWN_FIRST, KEYS, FIRST, IN_ORDER, WARM_UP, SECONDS, PID
};

static const struct option OPTIONS[] = {
    {"port", 1, 0, PORT}, {"protocol", 1, 0, PROTOCOL}, {"map", 1, 0, MAP}, {"connections", 1, 0, CONNECTIONS},
    {"outstanding", 1, 0, OUTSTANDING}, {"each", 1, 0, EACH}, {"probes", 1, 0, PROBES}, {"rate", 1, 0, RATE},
    {"limit", 1, 0, LIMIT}, {"key", 1, 0, KEY}, {"reply", 1, 0, REPLY}, {"unknown-key", 1, 0, UNKNOWN_KEY},
    {"unknown-reply", 1, 0, UNKNOWN_REPLY}, {"unknown-part", 1, 0, UNKNOWN_PART}, {"unknown-first", 1, 0, UNKNOWN_FIRST}, {"keys", 1, 0, KEYS},
    {"first", 1, 0, FIRST}, {"in-order", 0, 0, IN_ORDER}, {"warm-up", 1, 0, WARM_UP}, {"seconds", 1, 0, SECONDS},
    {"pid", 1, 0, PID}, {0}};

static void set(struct load *load, struct run *run, int option, const char *value) {
  struct questions *q = &load->questions;
  switch (option) {
    case PORT: load->port = (uint16_t)atoi(value); break;
    case PROTOCOL: q->protocol = strcmp(value, "tcp_table") == 0 ? TCP_TABLE : SOCKETMAP; break;
    case MAP: q->map = value; break;
    case CONNECTIONS: load->connections = (uint32_t)atoi(value); break;
    case OUTSTANDING: load->outstanding = (uint32_t)atoi(value); break;
    case EACH: load->questions_each = (uint32_t)atoi(value); break;
    case PROBES: load->probes = (uint32_t)atoi(value); break;
    case RATE: load->rate = atof(value); break;
    case LIMIT: load->limit = strtoull(value, NULL, 10); break;
    case KEY: q->known.key = value; break;
    case REPLY: q->known.reply = value; break;
    case UNKNOWN_KEY: q->unknown.key = value; break;
    case UNKNOWN_REPLY: q->unknown.reply = value; break;
    case UNKNOWN_PART: q->unknown_part = atof(value); break;
    case UNKNOWN_FIRST: q->unknown_asked = strtoull(value, NULL, 10); break;
    case KEYS: q->count = strtoull(value, NULL, 10); break;
    case FIRST: q->first = strtoull(value, NULL, 10); break;
    case IN_ORDER: q->in_order = true; break;
    case WARM_UP: run->warm_up = atof(value); break;
    case SECONDS: run->seconds = atof(value); break;
    case PID: run->pid = atol(value); break;
    default: exit(2);
  }
}

/* Seconds of CPU that process `pid` has had, in user and kernel mode; 0 without a process. */
static double cpu_of(long pid) {
  char path[64], line[1024];
  unsigned long user = 0, kernel = 0;
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *file = pid == 0 ? NULL : fopen(path, "r");
  if (file == NULL) return 0;
  char *name_end = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
  if (name_end != NULL) sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
  fclose(file);
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Runs until `end`, or until all of a limited number of questions are answered. */
static void run_until(struct load *load, uint64_t end) {
  static double due;
  for (uint64_t now = now_ns(); now < end; now = now_ns()) {
    if (load->limit != 0 && load->answered + load->lost >= load->limit) return;
    uint64_t wake = end;
    if (load->rate > 0) {
      if (due == 0) due = (double)now;
      while (due <= (double)now && clients_ask(load, (uint64_t)due)) due += SECOND / load->rate;
      /* One that is late is sent as soon as a connection is free; its wait counts. */
      if (due > (double)now && due < (double)end) wake = (uint64_t)due + 1;
    }
    clients_wait(load, wake);
  }
}

static void print_histogram(const char *name, const struct histogram *h) {
  printf(", \"%s\": {\"count\": %llu, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}", name,
         (unsigned long long)h->count, (double)histogram_at(h, 0.5) / 1e3, (double)histogram_at(h, 0.99) / 1e3,
         (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
}

int main(int argc, char **argv) {
  static struct load load = {.connections = 1, .outstanding = 1, .questions = {.map = "postfix", .count = 1}};
  struct run run = {.seconds = 1};
  for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) set(&load, &run, option, optarg);
  if (load.port == 0 || load.questions.known.key == NULL || load.questions.known.reply == NULL) {
    fprintf(stderr, "load: want --port, --key and --reply\n");
    return 2;
  }
  /* Nanoseconds: a question at a steady rate is to be sent when it is due. */
  prctl(PR_SET_TIMERSLACK, 1);
  questions_prepare(&load.questions);

  uint64_t start = now_ns();
  clients_start(&load);
  if (run.warm_up > 0) {
    run_until(&load, start + (uint64_t)(run.warm_up * SECOND));
    load.counts = (struct counts){0};
  }
  double server_cpu = cpu_of(run.pid), load_cpu = own_cpu();
  start = now_ns();
  run_until(&load, start + (uint64_t)(run.seconds * SECOND));
  double seconds = (double)(now_ns() - start) / SECOND;
  server_cpu = cpu_of(run.pid) - server_cpu;
  load_cpu = own_cpu() - load_cpu;
  struct counts counts = load.counts;

  load.sending = false;
  uint64_t patience = now_ns() + (uint64_t)(PATIENCE_SECONDS * SECOND);
  for (bool waiting = true; waiting && now_ns() < patience;) {
    waiting = load.sent > load.answered + load.lost;
    if (waiting) clients_wait(&load, now_ns() + (uint64_t)(SECOND / 10));
  }
  printf("{\"seconds\": %.3f, \"replies\": %llu, \"wrong\": %llu, \"notFound\": %llu, \"broken\": %llu", seconds,
         (unsigned long long)counts.replies, (unsigned long long)load.wrong,
         (unsigned long long)load.not_found, (unsigned long long)load.broken);
  printf(", \"unanswered\": %llu, \"silent\": %u", (unsigned long long)(load.sent - load.answered),
         clients_silent(&load));
  printf(", \"rate\": %.1f, \"serverCpu\": %.3f, \"loadCpu\": %.3f", (double)counts.replies / seconds, server_cpu, load_cpu);
  print_histogram("known", &counts.known);
  print_histogram("unknown", &counts.unknown);
  print_histogram("probes", &counts.probes);
  printf("}\n");
  return 0;
}
