/*
 * Answers every netstring with the same reply and does nothing else: what the load generator can drive at most. Takes its
 * port as argument.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define REPLY "12:OK something,"

static int listen_on(uint16_t port) {
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0) {
    perror("trivial-server");
    exit(1);
  }
  return fd;
}

/* Requests hold no comma but their last byte, and come whole: the load generator writes them so. */
static void answer(int fd) {
  static char in[256 * 1024], out[256 * 1024];
  ssize_t got = recv(fd, in, sizeof in, 0);
  if (got <= 0) {
    close(fd);
    return;
  }
  size_t length = 0;
  for (const char *at = in; (at = memchr(at, ',', (size_t)(in + got - at))) != NULL; at++) {
    memcpy(out + length, REPLY, sizeof REPLY - 1);
    length += sizeof REPLY - 1;
  }
  if (send(fd, out, length, MSG_NOSIGNAL) < 0) close(fd);
}

int main(int argc, char **argv) {
  int on = 1, epoll = epoll_create1(0), server = listen_on((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
  struct epoll_event events[MAX_EVENTS], event = {.events = EPOLLIN, .data.fd = server};
  epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event);
  for (;;) {
    int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
    for (int n = 0; n < count; n++) {
      if (events[n].data.fd != server) {
        answer(events[n].data.fd);
        continue;
      }
      event.data.fd = accept4(server, NULL, NULL, SOCK_NONBLOCK);
      setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    }
  }
}
