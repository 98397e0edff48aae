#define _GNU_SOURCE
#include "clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define READ_SIZE (256 * 1024)
/* Source addresses 127.0.0.2 and following: a closed connection keeps its port for a minute. */
#define SOURCES 250

struct pending {
  const char *reply;
  uint32_t length;
  bool unknown;
  uint64_t since;
};

struct client {
  int fd;
  uint32_t outstanding;
  bool connecting, probe, idle, asked, answered;
  /* Questions this connection may still ask. */
  uint32_t left;
  /* When it was opened: what the first question waits for, too. 0 once that was asked. */
  uint64_t opened;
  /* A ring of `outstanding` places. */
  struct pending *pending;
  uint32_t head, count;
  /* The beginning of a reply whose end has not come. */
  char *part;
  size_t part_length;
};

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(2);
}

static void open_client(struct load *load, struct client *client);

/* Asks `number` questions with one write. `since`: when they were due, 0 for now. */
static void ask(struct load *load, struct client *client, uint32_t number, uint64_t since) {
  static char out[64 * 1024];
  size_t length = 0;
  uint64_t at = client->opened != 0 ? client->opened : since != 0 ? since : now_ns();
  uint32_t before = client->count;
  for (; number > 0 && load->sending && client->left > 0; number--) {
    if (load->limit != 0 && load->sent >= load->limit) break;
    bool unknown;
    struct question q = questions_next(&load->questions, &unknown);
    if (length + q.request_length > sizeof out) break;
    memcpy(out + length, q.request, q.request_length);
    length += q.request_length;
    client->pending[(client->head + client->count++) % client->outstanding] =
        (struct pending){q.reply, q.reply_length, unknown, at};
    client->left--;
    load->sent++;
  }
  if (length == 0) return;
  client->asked = true;
  ssize_t written = send(client->fd, out, length, MSG_NOSIGNAL);
  client->connecting = written < 0 && client->opened != 0 && (errno == EAGAIN || errno == ENOTCONN);
  if (client->connecting) {
    /* Asked anew, and in other words, once the connection stands. */
    load->sent -= client->count - before;
    client->left += client->count - before;
    client->count = before;
  } else if (written >= 0 && (size_t)written < length) {
    errno = EMSGSIZE;
    die("load: the server does not read");
  } else {
    client->opened = 0;
  }
}

static void close_client(struct load *load, struct client *client) {
  close(client->fd);
  load->lost += client->count;
  client->fd = -1;
  client->count = 0;
  client->part_length = 0;
  if (load->sending && (load->limit == 0 || load->sent < load->limit)) open_client(load, client);
}

static void break_client(struct load *load, struct client *client) {
  load->broken++;
  close_client(load, client);
}

static void watch(struct load *load, struct client *client, int operation) {
  uint32_t events = client->connecting ? EPOLLIN | EPOLLOUT : EPOLLIN;
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(load->epoll, operation, client->fd, &event) < 0) die("load: epoll_ctl");
}

/* Puts it at the end of those that wait for their turn. */
static void rest(struct load *load, struct client *client) {
  uint32_t places = load->connections;
  client->idle = true;
  load->idle[(load->idle_head + load->idle_count++) % places] = client;
}

static void open_client(struct load *load, struct client *client) {
  static uint32_t source;
  int on = 1;
  client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client->fd < 0) die("load: socket");
  setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % SOURCES)};
  if (bind(client->fd, (struct sockaddr *)&from, sizeof from) < 0) die("load: bind");
  client->opened = now_ns();
  client->left = load->questions_each == 0 || client->probe ? UINT32_MAX : load->questions_each;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(client->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) die("load: connect");
  client->connecting = false;
  client->idle = false;
  if (load->rate > 0 && !client->probe) {
    client->opened = 0;
    rest(load, client);
  } else {
    /* On loopback the connection mostly stands by now. */
    ask(load, client, client->outstanding, 0);
  }
  watch(load, client, EPOLL_CTL_ADD);
}

static void count_reply(struct load *load, struct client *client, const char *reply, size_t length, uint64_t now) {
  struct pending *pending = &client->pending[client->head];
  client->head = (client->head + 1) % client->outstanding;
  client->count--;
  client->answered = true;
  struct counts *counts = &load->counts;
  histogram_add(client->probe ? &counts->probes : pending->unknown ? &counts->unknown : &counts->known, now - pending->since);
  counts->replies++;
  load->answered++;
  if (length == pending->length && memcmp(reply, pending->reply, length) == 0) return;
  if (load->wrong++ == 0)
    fprintf(stderr, "load: wrong reply: %.*s, not %.*s\n", (int)length, reply, (int)pending->length, pending->reply);
  bool none = load->questions.protocol == TCP_TABLE ? reply[0] == '5' : memmem(reply, length, ":NOTFOUND", 9) != NULL;
  if (none) load->not_found++;
}

/* Counts all whole replies in `bytes` and keeps the rest; false when the connection must end. */
static bool take(struct load *load, struct client *client, const char *bytes, size_t length) {
  uint64_t now = now_ns();
  while (length > 0) {
    const struct pending *pending = &client->pending[client->head];
    if (client->count == 0) return false;
    bool same = length >= pending->length && memcmp(bytes, pending->reply, pending->length) == 0;
    long frame = same ? (long)pending->length : questions_frame(&load->questions, bytes, length);
    if (frame < 0) return false;
    if (frame == 0) break;
    count_reply(load, client, bytes, (size_t)frame, now);
    bytes += frame;
    length -= (size_t)frame;
  }
  if (length > 0) {
    client->part = realloc(client->part, length);
    if (client->part == NULL) abort();
    memcpy(client->part, bytes, length);
  }
  client->part_length = length;
  return true;
}

static void read_client(struct load *load, struct client *client) {
  static char in[READ_SIZE];
  size_t kept = client->part_length;
  if (kept > 0) memcpy(in, client->part, kept);
  ssize_t got = recv(client->fd, in + kept, sizeof in - kept, 0);
  if (got < 0 && errno == EAGAIN) return;
  uint32_t before = client->count;
  if (got <= 0 || !take(load, client, in, kept + (size_t)got)) return break_client(load, client);
  uint32_t free = before - client->count;
  if (client->left == 0 && client->count == 0) return close_client(load, client);
  if (load->rate == 0 || client->probe) return ask(load, client, free, 0);
  if (client->idle || client->count > 0) return;
  rest(load, client);
}

static void handle(struct load *load, struct client *client, uint32_t events) {
  if (client->connecting && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
    if (events & (EPOLLERR | EPOLLHUP)) return break_client(load, client);
    client->connecting = false;
    ask(load, client, client->outstanding, 0);
    watch(load, client, EPOLL_CTL_MOD);
  } else {
    read_client(load, client);
  }
}

void clients_start(struct load *load) {
  uint32_t all = load->connections + load->probes;
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  load->clients = calloc(all, sizeof *load->clients);
  load->idle = calloc(all, sizeof *load->idle);
  if (load->epoll < 0 || load->clients == NULL || load->idle == NULL) die("load");
  load->sending = true;
  for (uint32_t n = 0; n < all; n++) {
    struct client *client = &load->clients[n];
    client->probe = n >= load->connections;
    client->outstanding = client->probe ? 1 : load->outstanding;
    client->pending = calloc(client->outstanding, sizeof *client->pending);
    if (client->pending == NULL) abort();
    open_client(load, client);
  }
}

bool clients_ask(struct load *load, uint64_t due) {
  if (load->idle_count == 0) return false;
  struct client *client = load->idle[load->idle_head];
  load->idle_head = (load->idle_head + 1) % load->connections;
  load->idle_count--;
  client->idle = false;
  ask(load, client, 1, due);
  return true;
}

void clients_wait(struct load *load, uint64_t until) {
  struct epoll_event events[MAX_EVENTS];
  uint64_t now = now_ns();
  uint64_t left = until > now ? until - now : 0;
  struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
  int count = epoll_pwait2(load->epoll, events, MAX_EVENTS, &timeout, NULL);
  if (count < 0 && errno != EINTR) die("load: epoll_pwait2");
  for (int n = 0; n < count; n++) handle(load, events[n].data.ptr, events[n].events);
}

uint32_t clients_silent(const struct load *load) {
  uint32_t silent = 0;
  for (uint32_t n = 0; n < load->connections + load->probes; n++) silent += load->clients[n].asked && !load->clients[n].answered;
  return silent;
}
