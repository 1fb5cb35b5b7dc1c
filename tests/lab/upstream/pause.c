/* Holds a pod's namespaces open: waits for a signal to leave, and reaps what is left behind to it as PID 1. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int signal) {
	(void)signal;
	_exit(0);
}

static void reap(int signal) {
	(void)signal;
	while (waitpid(-1, 0, WNOHANG) > 0) {
	}
}

int main(void) {
	struct sigaction act = {.sa_handler = leave};
	sigaction(SIGINT, &act, 0);
	sigaction(SIGTERM, &act, 0);
	act = (struct sigaction){.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
	sigaction(SIGCHLD, &act, 0);
	for (;;)
		pause();
}
