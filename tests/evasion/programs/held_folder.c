/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whoever looks for what is new in a folder waits for ever: `held_folder FUSE MOUNT FOLDER [ADDRESS PORT]`. A thread
 * lists it into memory that never comes, and holds the lock of the folder meanwhile; another one waits to make
 * something there, so that no further reader is let in, and needs no right to make it. With an address the program's
 * own file is deleted before, since what the kernel remembers of the folder needs no lock, and it connects. Then it
 * says "held".
 */
#include "unanswered.h"

#include <sys/syscall.h>

static char *held, new[SIZE + 8];
static volatile int change;

static void *read_it(void *nothing)
{
	return syscall(SYS_getdents64, open(held, O_RDONLY | O_DIRECTORY), unanswered, SIZE) < 0 ? nothing : unanswered;
}

static void *change_it(void *nothing)
{
	wait_asked();
	change = open_own_call();
	return syscall(SYS_mkdirat, AT_FDCWD, new, 0755) ? nothing : unanswered;
}

int main(int count, char **words)
{
	pthread_t threads[2];

	if (count < 4 || !map_unanswered(words[1], words[2]) || (count == 6 && unlink(words[0])))
		return 1;
	held = words[3];
	snprintf(new, sizeof(new), "%s/new", held);
	if (pthread_create(&threads[0], NULL, read_it, NULL) || pthread_create(&threads[1], NULL, change_it, NULL))
		return 1;
	wait_within(&change, SYS_mkdirat);
	if ((count == 6 && connect_to(words[4], words[5])) || write(1, "held\n", 5) < 0)
		return 1;
	return pause();
}
