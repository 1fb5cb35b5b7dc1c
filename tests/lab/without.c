/*
 * Runs the program that is appended to this one, without the arguments that it does not know any more: programs of the same
 * sources under an older version stamp are told what the older version was told.
 *
 * The file ends with: the program, its length as a line of 20 digits.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef WITHOUT
#error "WITHOUT says what is left out: one string or several, with commas between them"
#endif

enum { LENGTH = 20 };

static const char *const without[] = { WITHOUT };

static int is_left_out(const char *argument)
{
	for (size_t i = 0; i < sizeof without / sizeof *without; i++)
		if (strncmp(argument, without[i], strlen(without[i])) == 0)
			return 1;
	return 0;
}

static int fail(const char *what)
{
	perror(what);
	return 126;
}

int main(int argc, char **argv, char **environment)
{
	char digits[LENGTH + 1] = "";
	struct stat file;
	int kept = 0;
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int program = memfd_create("program", 0);
	if (self < 0 || program < 0 || fstat(self, &file) < 0)
		return fail("the program cannot be read");
	if (pread(self, digits, LENGTH, file.st_size - LENGTH) != LENGTH)
		return fail("the program's length cannot be read");
	off_t left = atoll(digits), at = file.st_size - LENGTH - left;
	while (left > 0) {
		ssize_t sent = sendfile(program, self, &at, (size_t)left);
		if (sent <= 0)
			return fail("the program cannot be copied");
		left -= sent;
	}
	for (int i = 0; i < argc; i++)
		if (i == 0 || !is_left_out(argv[i]))
			argv[kept++] = argv[i];
	argv[kept] = NULL;
	fexecve(program, argv, environment);
	return fail("the program cannot be run");
}
