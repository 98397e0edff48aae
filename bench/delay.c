/*
 * A link between two network namespaces on which every packet takes its time: `delay <microseconds> <pid>` makes the
 * interface bench0 here and bench1 in the namespace of process <pid>, says "ready" and carries packets until it is ended.
 * For kernels without netem.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PLACES 16384
#define MAX_PACKET 2048

struct packet {
  uint64_t due;
  ssize_t length;
  char bytes[MAX_PACKET];
};

/* All packets take equally long, so the first in is the first out. */
struct direction {
  int from, to;
  struct packet *packets;
  unsigned head, count;
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_interface(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) die("delay: /dev/net/tun");
  return fd;
}

static void enter_namespace_of(const char *pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) die(path);
  close(fd);
}

static void receive(struct direction *direction, uint64_t delay) {
  while (direction->count < PLACES) {
    struct packet *packet = &direction->packets[(direction->head + direction->count) % PLACES];
    packet->length = read(direction->from, packet->bytes, MAX_PACKET);
    if (packet->length <= 0) return;
    packet->due = now_ns() + delay;
    direction->count++;
  }
}

static void deliver(struct direction *direction) {
  for (uint64_t now = now_ns(); direction->count > 0; direction->count--) {
    struct packet *packet = &direction->packets[direction->head];
    if (packet->due > now) return;
    /* What the other side has no room for, or is not up for, is lost, as on any link. */
    if (write(direction->to, packet->bytes, (size_t)packet->length) < 0 && errno != EAGAIN && errno != EIO) die("delay: write");
    direction->head = (direction->head + 1) % PLACES;
  }
}

static uint64_t earlier(const struct direction *direction, uint64_t than) {
  uint64_t due = direction->count == 0 ? UINT64_MAX : direction->packets[direction->head].due;
  return due < than ? due : than;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t delay = strtoull(argv[1], NULL, 10) * 1000;
  int here = open_interface("bench0");
  enter_namespace_of(argv[2]);
  int there = open_interface("bench1");
  struct direction out = {.from = here, .to = there, .packets = calloc(PLACES, sizeof(struct packet))};
  struct direction back = {.from = there, .to = here, .packets = calloc(PLACES, sizeof(struct packet))};
  if (out.packets == NULL || back.packets == NULL) die("delay");
  /* Nanoseconds: a packet is to leave when it is due. */
  prctl(PR_SET_TIMERSLACK, 1);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct pollfd fds[] = {{.fd = here, .events = POLLIN}, {.fd = there, .events = POLLIN}};
    uint64_t now = now_ns(), due = earlier(&out, earlier(&back, UINT64_MAX));
    uint64_t left = due <= now ? 0 : due - now;
    struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    if (ppoll(fds, 2, due == UINT64_MAX ? NULL : &timeout, NULL) < 0 && errno != EINTR) die("delay: ppoll");
    receive(&out, delay);
    receive(&back, delay);
    deliver(&out);
    deliver(&back);
  }
}
