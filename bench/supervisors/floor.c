/* floor: the least that a supervisor can be. It starts N beacons and starts each again as soon as
 * it has ended. No backoff, no log, no control: a lower bound, not a rival.
 *
 *   floor N PORT BEACON [MODE]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t spawn(int index, char *port, char *beacon, char *mode)
{
	char text[16];
	snprintf(text, sizeof text, "%d", index);
	pid_t pid = vfork();
	if (pid == 0) {
		char *words[] = {beacon, text, port, mode, NULL};
		execv(beacon, words);
		_exit(127);
	}
	return pid;
}

int main(int count, char **words)
{
	int children = atoi(words[1]);
	char *mode = count > 4 ? words[4] : "sleep";
	pid_t *pids = calloc((size_t)children, sizeof *pids);
	for (int i = 0; i < children; i++)
		pids[i] = spawn(i, words[2], words[3], mode);
	for (;;) {
		int status;
		pid_t ended = waitpid(-1, &status, 0);
		for (int i = 0; i < children; i++) {
			if (pids[i] == ended) {
				pids[i] = spawn(i, words[2], words[3], mode);
				break;
			}
		}
	}
}
