/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps a folder locked, so that each look-up of a name there that the kernel has not cached waits for ever:
 * `held_folder FUSE MOUNT FOLDER [ADDRESS PORT]`. One thread lists the folder into memory whose page never comes, and
 * holds the folder's lock for reading meanwhile. Another one waits to create a file there, for which it needs no right,
 * and so no further reader gets the lock. With an address the program first deletes its own file, since a cached name
 * needs no lock, and connects in the end. Then it prints "held".
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
