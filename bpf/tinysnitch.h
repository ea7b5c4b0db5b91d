/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What BPF and Python share; src/tinysnitch/kernel/bpf_structs.py mirrors it and a test compares both with the BTF of
 * the built objects. Fixed-width types, widest first, no holes. Addresses are 16 bytes in network order, IPv4 held
 * IPv4-mapped (::ffff:a.b.c.d). Ports are in host order. Times are CLOCK_BOOTTIME nanoseconds.
 */
#ifndef TINYSNITCH_H
#define TINYSNITCH_H

#define EXECUTABLE_SIZE 1024
#define DIRECTORY_SIZE 512
#define ARGS_SIZE 2304
#define STARTED_AS_SIZE 256

#define EXEC_ID_UNKNOWN 0
#define EXEC_ID_KERNEL 1
#define EXEC_ID_SEEDED (1ULL << 63) /* user space gives ids from here on */

#define IMAGES_OF_ONE 4096     /* living ones, of any user but root */
#define PROCESSES_OF_ONE 16384 /* likewise */
#define USERS_APART 65536      /* from this uid on they are of containers: subuid(5), anybody may have any number */

enum direction { OUTBOUND = 0, INBOUND = 1, ANY_REMOTE = 2 };
enum verdict {
	VERDICT_NONE = 0,
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,
	VERDICT_ALLOW_NOTED = 3,   /* the connection has no name: show what it says of itself to whoever reads it */
	VERDICT_ALLOW_GUARDED = 4, /* the same, and a rule may deny what it says: nothing goes on unread */
};
/* Of a connection that has no name; user space writes the last two. */
enum watch_state { WATCH_NONE = 0, WATCH_NOTED = 1, WATCH_GUARDED = 2, WATCH_OVER = 3, WATCH_CUT = 4 };

enum image_flags {
	IMAGE_ARGS_CUT = 1,       /* argv was longer than ARGS_SIZE */
	IMAGE_PATH_CUT = 2,       /* deeper or longer than we keep */
	IMAGE_DELETED = 4,        /* the file had no link left at exec */
	IMAGE_SEEDED = 8,         /* read from /proc at the daemon's start */
	IMAGE_DIRECTORY_CUT = 16, /* or not the process's alone */
	IMAGE_ARGS_UNREADABLE = 32,
	IMAGE_USER_NAMESPACE = 64, /* another than the daemon's, or by its mounts: at any path is what it likes */
};

/* What runs: captured at exec, kept while a process has it and for the next 4096 that end after it. */
struct image {
	__u64 exec_id;
	__u64 parent_exec_id; /* image of the parent at exec, 0: not known */
	__u64 inode;
	__u64 cgroup_id;
	__u64 started_ns;  /* start of the process that executed it */
	__u64 executed_ns; /* 0: not known (seeded) */
	__u32 device;      /* superblock's s_dev: major << 20 | minor */
	__u32 users;       /* processes that run it */
	__u32 pid;         /* of the process that executed it */
	__u32 parent_pid;
	__u32 uid; /* real, at exec, initial user namespace */
	__u32 flags;
	__u16 executable_size; /* components from the last to the first, each NUL-terminated, see process.bpf.c */
	__u16 directory_size;  /* likewise */
	__u16 args_size;       /* argv as in memory: NUL-terminated strings */
	__u16 started_as_size; /* with its NUL */
	char executable[EXECUTABLE_SIZE];
	char directory[DIRECTORY_SIZE]; /* working directory at exec */
	char args[ARGS_SIZE];
	char started_as[STARTED_AS_SIZE]; /* the path that execve(2) was given, cut if need be; over which link */
};

struct own_key {
	__u8 address[16];
};

/* key: tgid in the initial pid namespace */
struct process {
	__u64 exec_id;
	__u64 started_ns; /* group leader's start_boottime */
	__u32 user;       /* whose share it takes; 0: nobody's, as that of root's and of what user space wrote */
	__u32 pad;
};

/* What runs of one user's. */
struct share {
	__u32 images, processes;
};

/* Whose socket: the newest process that used it. key of `sockets`: socket cookie */
struct owner {
	__u64 exec_id;
	__u64 started_ns;
	__u32 pid;
	__u32 uid; /* real uid at that use, initial user namespace */
};

/*
 * UNBOUND: nothing of it is in `bindings`, which need not be asked when it is closed. ALONE: it shares its port with
 * nobody, be it in the tables or not.
 */
enum boundness { UNBOUND = 0, BOUND = 1, ALONE = 2 };

/* What became of the SYN of the last connect(): held, or not sent yet; let go; refused in one way or the other. */
enum syn_fate { SYN_HELD = 0, SYN_LET_GO = 1, SYN_RESET = 2, SYN_UNREACHABLE = 3 };

/* value of `sockets`; beside the owner, so that to begin a watch costs no look-up of its own */
struct owned_socket {
	struct owner owner;
	__u64 sk; /* where it is; 0: not known. It is open as long as it is in the table */
	__u16 let_go_port;
	__u8 syn;       /* enum syn_fate; let go to this remote */
	__u8 boundness; /* enum boundness */
	__u8 watch;     /* enum watch_state of TCP, 0: none was begun */
	__u8 is_given;  /* the owner got it, and has not used it yet */
	__u8 is_tied;   /* of TCP: its flow may leave by one interface alone */
	__u8 protocol;  /* TCP or UDP, where a program was seen to make it, but no raw socket; else 0 */
	__u8 let_go_to[16];
};

/* key of `listeners`; address all zero (IPv6) or ::ffff:0.0.0.0 (IPv4): any */
struct listener_key {
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

/* Several sockets may take one port (socket(7), SO_REUSEPORT and SO_REUSEADDR): then these are the first one's. */
struct listener {
	__u64 cookie;
	struct owner owner;
	__u32 members;
	/* By different programs or users: only the kernel's own look-up tells who takes a packet. Grows when they change. */
	__u32 is_shared;
};

/*
 * What user space found out of a socket: that it has a port; that it had been closed by then; who uses it. And that it
 * reads the queues from now on.
 */
enum claim_kind { CLAIM_PORT = 1, CLAIM_END = 2, CLAIM_OWNER = 3, CLAIM_READER = 4 };

struct claim {
	__u64 cookie;
	struct owner owner;
	struct listener_key key;
	__u32 kind;
};

struct flow_key {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port; /* ICMP echo: the identifier */
	__u16 remote_port;
	__u8 protocol;
	__u8 direction;
	__u16 pad;
} __attribute__((aligned(8))); /* it is copied by words, not by pairs of bytes */

/*
 * Written by the verdict program on a miss, and of what user space is shown or reads the questions of; user space sets
 * the verdict, which counts only for the same cookie and program.
 */
struct flow {
	__u64 cookie;     /* 0: no socket */
	__u64 expires_ns; /* 0: never */
	struct owner owner;
	__u32 generation;
	__u32 verdict;
	__u32 interface; /* that what is allowed may leave by; 0: any */
	__u32 pad;
};

/* One socket's, where several send between the same ends. */
struct displaced_key {
	struct flow_key flow;
	__u64 cookie;
};

/* As long as conntrack would wait: nf_conntrack_udp_timeout, nf_conntrack_udp_timeout_stream */
#define ANSWER_NS 30000000000ULL
#define LULL_NS 120000000000ULL

/*
 * What was allowed last between two ends, of all protocols but TCP: its answers are welcome. key: flow_key, direction 0.
 * Times are CLOCK_MONOTONIC_COARSE, which is read in an eighth of the time, and stands still in suspend as conntrack's.
 */
struct conversation {
	__u64 cookie;  /* of the socket that began it, or that answers; 0: none */
	__u64 exec_id; /* who began it, or was asked */
	__u64 seen_ns;
	__u64 judged_ns; /* when the rules allowed a packet of it last */
	__u32 generation;
	__u32 pid; /* who sent that packet */
	__u32 uid;
	__u8 begun_by; /* enum direction */
	__u8 is_answered;
	__u8 is_watched; /* what is sent asks the verdict, answered or not */
	__u8 is_own;     /* the remote is an address of this machine */
	__u32 interface; /* what is sent may leave by this one alone; 0: by any */
	__u32 is_local;  /* of IPv6: by loopback; no table of addresses is as sure */
};

/* With ANY_REMOTE added to the direction: whatever the remote and port, which are 0. No packet's own key has it. */
struct verdict_key {
	__u64 exec_id;
	__u8 remote[16];
	__u32 uid;
	__u16 port; /* remote's outbound, ours inbound, 0 for all but TCP and UDP */
	__u8 protocol;
	__u8 direction;
};

struct verdict_value {
	__u64 expires_ns; /* 0: never */
	__u32 generation;
	__u32 verdict;
};

/* A UDP socket may speak to many; one of TCP too, after connect(AF_UNSPEC), while the first talk is still read. */
struct watch_key {
	__u64 cookie;
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 pad;
};

struct watch {
	__u32 state; /* enum watch_state */
};

#define CROWD_MOMENT_NS 67108864ULL /* in which the packets of a crowd are counted, by CLOCK_MONOTONIC_COARSE */

/* Whose packets are held: of one program, or of all programs of a user. */
struct crowd_key {
	__u64 exec_id;
	__u32 uid;
	__u32 direction; /* enum direction; and whether they are held to be judged, or read */
};

struct crowd {
	__u32 moment;
	__u32 count; /* in it */
};

/* The one entry of `settings`: user space writes through a memory map, field by field (next_exec_id: only at first). */
struct settings {
	__u64 next_exec_id;
	__u64 netns_cookie; /* the only network namespace that is judged */
	__u32 generation;
	__u32 is_scoped;          /* inbound: judge only ports in `listeners` (tinysnitch run) */
	__u32 is_tracing;         /* write `traces` */
	__u32 is_watching;        /* a verdict with a watch was given */
	__u32 has_lost_listeners; /* whoever binds a port that can be shared may not be alone there */
	__u32 denied_at;          /* when a packet was marked as denied last, in units of 2^30 ns (BPF alone) */
	__u32 flow_generation;    /* in which a verdict was given for a flow alone */
	__u32 own_epoch;          /* of `own_addresses`: what was written before is none any more */
	__u32 has_ties;           /* a verdict was given that holds for one interface alone */
	__u32 is_reset_lost;      /* what resets a connection of ours comes back to no socket (BPF alone) */
	__u32 crowd_limit;        /* how many packets any one user may have held in a moment; 0: user space keeps up */
	__u32 message_limit;      /* and how many they may have read */
	struct owner reader; /* of the queues (BPF alone): what comes on top of it is let go, and sent by another */
};

/* Index into the per-CPU `statistics`. */
enum statistic {
	HITS_ALLOWED,      /* verdict program: cached allow */
	HITS_DENIED,       /* verdict program: cached deny */
	HITS_DENIED_EARLY, /* refused inside connect() or sendmsg() */
	MISSES,            /* handed to user space */
	LOST_IMAGES,       /* could not store what was executed */
	LOST_PROCESSES,
	LOST_SOCKETS,
	LOST_LISTENERS,
	LOST_FLOWS,
	LOST_CONVERSATIONS,
	LOST_WATCHES,       /* allowed without being watched */
	LOST_PACKET_USERS,  /* ring buffer full */
	LOST_TRACES,        /* ring buffer full */
	LOST_MARKS,         /* others took that of what was denied, or it was denied later: dropped behind them */
	LOST_ANSWERS,       /* to a SYN that was not let go */
	LOST_FIRST_PACKETS, /* scoped: to a port that no hook had told of */
	LOST_ASTRAY,        /* to an address of ours, by way of another machine */
	LOST_CROWD,         /* beyond the share of a program or a user, of what can be judged */
	LOST_MESSAGES,      /* likewise, of what can be read; or several in one packet */
	STATISTICS
};

/* One line of tinysnitch-trace, only while `is_tracing` is set. */
enum trace_kind { TRACE_EXEC = 1, TRACE_CONNECT = 2, TRACE_SEND = 3, TRACE_BIND = 4 };

struct trace_event {
	__u64 time_ns;
	__u64 cookie;
	struct owner owner;
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 kind;
	__u32 pad;
};

#endif
