/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps its memory map locked, so that each process that reads its memory waits for ever:
 * `held_memory FUSE FOLDER [ADDRESS PORT]`. One thread reads, by /proc/self/mem, a page that is mapped from a file
 * system of our own which never answers, and holds the lock for reading meanwhile. Another one waits to change the map,
 * and so no further reader gets the lock. With an address it connects then. Prints "held".
 */
#include "unanswered.h"

#include <sys/syscall.h>

static volatile int change;

static void *read_it(void *nothing)
{
	int memory = open("/proc/self/mem", O_RDONLY);
	char byte;

	return pread(memory, &byte, 1, (off_t)unanswered) == 1 ? unanswered : nothing;
}

static void *change_it(void *nothing)
{
	change = open_own_call();
	wait_asked();
	return mmap(nothing, SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(int count, char **words)
{
	pthread_t threads[2];

	/*
	 * Before Linux 6.4 (0bff0aaea03e, "x86/mm: try VMA lock-based page fault handling first") a fault on a page of our
	 * own waits for that lock, too: so all pages are made present.
	 */
	if (mlockall(MCL_CURRENT))
		return 1;
	/* The reader is started last: mapping the stack of a further thread would wait for the lock. */
	if (!map_unanswered(words[1], words[2]) || pthread_create(&threads[0], NULL, change_it, NULL) ||
	    pthread_create(&threads[1], NULL, read_it, NULL))
		return 1;
	wait_within(&change, SYS_mmap);
	if (count == 5 && connect_to(words[3], words[4]))
		return 1;
	if (write(1, "held\n", 5) < 0)
		return 1;
	return pause();
}
