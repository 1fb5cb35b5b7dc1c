/*
 * Takes the place of a program that no package carries. It says what it is, and does what a bundle needs of the real
 * one: tell its version, and as kubeadm list the images that belong to it. Which program it stands in for is written
 * over IDENTITY after compiling, so that a hundred of them cost one compilation for each architecture.
 */
#include <stdio.h>
#include <string.h>

enum { NAME, VERSION, SAYS, ETCD, PAUSE, COREDNS, FIELDS };

/* Zero-terminated fields in the order above; volatile, or the compiler would look inside before it is written. */
static volatile char identity[512] = "@@IDENTITY@@";

static const char *field(int wanted) {
	const char *at = (const char *)identity;
	while (wanted-- > 0)
		at += strlen(at) + 1;
	return at;
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise) {
	size_t length = strlen(name);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name) && i + 1 < argc)
			return argv[i + 1];
		if (!strncmp(argv[i], name, length) && argv[i][length] == '=')
			return argv[i] + length + 1;
	}
	return otherwise;
}

/* As kubeadm does, coredns has a directory of its own in the default repository, and in that one only. */
static void list_images(int argc, char **argv) {
	static const char *const servers[] = {"apiserver", "controller-manager", "scheduler", "proxy"};
	const char *repository = option(argc, argv, "--image-repository", "registry.k8s.io");
	const char *version = option(argc, argv, "--kubernetes-version", field(VERSION));
	const char *directory = strcmp(repository, "registry.k8s.io") ? "" : "coredns/";
	for (size_t i = 0; i < sizeof servers / sizeof *servers; i++)
		printf("%s/kube-%s:%s%s\n", repository, servers[i], *version == 'v' ? "" : "v", version);
	printf("%s/%scoredns:%s\n", repository, directory, field(COREDNS));
	printf("%s/pause:%s\n", repository, field(PAUSE));
	printf("%s/etcd:%s\n", repository, field(ETCD));
}

static int is(int argc, char **argv, int at, const char *word) { return at < argc && !strcmp(argv[at], word); }

int main(int argc, char **argv) {
	if (!strcmp(field(NAME), "kubeadm")) {
		if (is(argc, argv, 1, "config") && is(argc, argv, 2, "images") && is(argc, argv, 3, "list")) {
			list_images(argc, argv);
			return 0;
		}
		if (is(argc, argv, 1, "version") && !strcmp(option(argc, argv, "-o", option(argc, argv, "--output", "")), "short")) {
			puts(field(VERSION));
			return 0;
		}
	}
	if (is(argc, argv, 1, "--version") || is(argc, argv, 1, "version")) {
		puts(field(SAYS));
		return 0;
	}
	FILE *out = argc > 1 ? stderr : stdout;
	fprintf(out, "stand-in for %s %s: no package carries the real program\n", field(NAME), field(VERSION));
	return argc > 1;
}
