/* Holds a pod's namespaces open: waits for a signal to leave, and reaps what is left behind to it as PID 1. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
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

int main(int count, char **words) {
	/* kubeadm starts it so, to see whether the cluster runs pods at all. */
	if (count > 1 && !strcmp(words[1], "-v")) {
		puts("pause.c of the lab");
		return 0;
	}
	struct sigaction act = {.sa_handler = leave};
	sigaction(SIGINT, &act, 0);
	sigaction(SIGTERM, &act, 0);
	act = (struct sigaction){.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
	sigaction(SIGCHLD, &act, 0);
	for (;;)
		pause();
}
