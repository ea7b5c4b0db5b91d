/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever looks for what is new in this program's folder waits for ever: `held_folder FUSE FOLDER ADDRESS PORT`. A
 * thread lists it into memory that never comes, and holds the lock of the folder meanwhile; another one waits to make
 * something there, so that no further reader is let in. What the kernel remembers of the folder needs no lock: the
 * program's own file is deleted before. Then it connects, and says "held".
 */
#include "unanswered.h"

#include <libgen.h>
#include <sys/syscall.h>

static char held[SIZE], new[SIZE + 8];

static void *read_it(void *nothing)
{
	return syscall(SYS_getdents64, open(held, O_RDONLY | O_DIRECTORY), unanswered, SIZE) < 0 ? nothing : unanswered;
}

static void *change_it(void *nothing)
{
	sleep(1);
	return mkdir(new, 0755) ? nothing : unanswered;
}

int main(int count, char **words)
{
	pthread_t threads[2];

	if (count != 5 || !map_unanswered(words[1], words[2]) || unlink(words[0]))
		return 1;
	snprintf(held, sizeof(held), "%s", dirname(words[0]));
	snprintf(new, sizeof(new), "%s/new", held);
	if (pthread_create(&threads[0], NULL, read_it, NULL) || pthread_create(&threads[1], NULL, change_it, NULL))
		return 1;
	sleep(2);
	if (connect_to(words[3], words[4]) || write(1, "held\n", 5) < 0)
		return 1;
	return pause();
}
