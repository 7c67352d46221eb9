/* beacon: the child that every supervisor of the bench keeps.
 *
 * Its first act is to stamp CLOCK_MONOTONIC; it then tells the bench of its start in one UDP
 * datagram, "INDEX PID STAMP", and does what its mode says:
 *
 *   beacon INDEX PORT                  sleeps
 *   beacon INDEX PORT crash            ends with 1 at once
 *   beacon INDEX PORT stubborn         ignores SIGTERM, SIGINT and SIGHUP
 *   beacon INDEX PORT spawn            has two grandchildren: INDEX + 100000 in its own group,
 *                                      INDEX + 200000 in a session of its own
 *   beacon INDEX PORT http LISTEN      answers any request on 127.0.0.1:LISTEN as healthy
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}

static void report(int port, long index, uint64_t stamp)
{
	char text[64];
	int length = snprintf(text, sizeof text, "%ld %d %llu", index, (int)getpid(),
			      (unsigned long long)stamp);
	int out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in bench = loopback(port);
	sendto(out, text, (size_t)length, 0, (struct sockaddr *)&bench, sizeof bench);
	close(out);
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static int serve(int port)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
				     "content-length: 15\r\nconnection: close\r\n\r\n"
				     "{\"status\":\"ok\"}";
	int yes = 1, in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = loopback(port);
	setsockopt(in, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(in, (struct sockaddr *)&address, sizeof address) || listen(in, 8))
		return 1;
	for (;;) {
		char request[2048];
		int peer = accept(in, NULL, NULL);
		if (peer < 0)
			continue;
		if (read(peer, request, sizeof request) > 0)
			send(peer, answer, sizeof answer - 1, MSG_NOSIGNAL);
		close(peer);
	}
}

int main(int count, char **words)
{
	uint64_t stamp = now();
	long index = count > 1 ? atol(words[1]) : 0;
	int port = count > 2 ? atoi(words[2]) : 0;
	const char *mode = count > 3 ? words[3] : "sleep";
	report(port, index, stamp);
	if (!strcmp(mode, "crash"))
		return 1;
	if (!strcmp(mode, "http"))
		return serve(count > 4 ? atoi(words[4]) : 0);
	if (!strcmp(mode, "stubborn")) {
		signal(SIGTERM, SIG_IGN);
		signal(SIGINT, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
	}
	if (!strcmp(mode, "spawn")) {
		if (fork() == 0) {
			report(port, index + 100000, now());
			sleep_for_ever();
		}
		if (fork() == 0) {
			setsid();
			report(port, index + 200000, now());
			sleep_for_ever();
		}
	}
	sleep_for_ever();
}
