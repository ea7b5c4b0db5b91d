/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What BPF and Python share: hatch_build.py makes src/tinysnitch/kernel/bpf/layout.py of it, with a class for each
 * structure, and a test compares these with the BTF of the built objects. Fixed-width types, widest first, no holes:
 * what fills one is called `pad`. Numbers are literals. Addresses are 16 bytes in network order; an IPv4
 * address is stored IPv4-mapped (::ffff:a.b.c.d). Ports are in host order. Times are CLOCK_BOOTTIME nanoseconds.
 */
#ifndef TINYSNITCH_H
#define TINYSNITCH_H

#define EXECUTABLE_SIZE 1024
#define DIRECTORY_SIZE 512
#define ARGS_SIZE 2304
#define STARTED_AS_SIZE 256

#define EXEC_ID_UNKNOWN 0
#define EXEC_ID_KERNEL 1
#define EXEC_ID_BOOTSTRAPPED 0x8000000000000000ULL /* the first of the ids that user space gives */

#define IMAGES_OF_ONE 4096     /* that any one user but root may have at the same time */
#define PROCESSES_OF_ONE 16384 /* likewise */
#define USERS_APART 65536      /* from this uid on they are of containers: anybody may have any number (subuid(5)) */

enum direction { OUTBOUND = 0, INBOUND = 1 };
enum verdict {
	VERDICT_NONE = 0,
	VERDICT_ALLOW = 1,
	VERDICT_DENY = 2,
	VERDICT_ALLOW_NOTED = 3,   /* the remote has no name: show user space what is sent, which may tell its name */
	VERDICT_ALLOW_GUARDED = 4, /* likewise, and a rule may deny that name: nothing goes on unread */
};
/* Whether what a connection sends is read, until it has named its remote. User space writes the last two. */
enum watch_state { WATCH_NONE = 0, WATCH_NOTED = 1, WATCH_GUARDED = 2, WATCH_OVER = 3, WATCH_CUT = 4 };

enum image_flags {
	IMAGE_ARGS_CUT = 1,       /* argv was longer than ARGS_SIZE */
	IMAGE_PATH_CUT = 2,       /* deeper or longer than we keep */
	IMAGE_DELETED = 4,        /* the file had no link left at exec */
	IMAGE_BOOTSTRAPPED = 8,   /* read from /proc at the daemon's start */
	IMAGE_DIRECTORY_CUT = 16, /* longer than we keep, or another process can change it */
	IMAGE_ARGS_UNREADABLE = 32,
	IMAGE_USER_NAMESPACE = 64, /* in another than the daemon's, or from its mounts: at any path is any file */
	IMAGE_UNLINKED = 128,      /* the file was not at its path any more at exec */
};

/* What runs: captured at exec, kept while a process runs it, and after that until 4096 more images have ended. */
struct image {
	__u64 exec_id;
	__u64 parent_exec_id; /* what the parent ran at this exec; 0: not known */
	__u64 inode;
	__u64 cgroup_id;
	__u64 started_ns;  /* start of the process that executed it */
	__u64 executed_ns; /* 0: not known (read from /proc) */
	__u64 file_id;     /* keyed hashes (grain.bpf.h), 0: none; of the file at its path, user and cgroup */
	__u64 args_id;     /* of these and all arguments */
	__u64 lineage_id;  /* of file_id and all ancestors, with their arguments */
	__u32 device;      /* superblock's s_dev: major << 20 | minor */
	__u32 users;       /* processes that run it */
	__u32 pid;         /* of the process that executed it */
	__u32 parent_pid;
	__u32 uid; /* real, at exec, initial user namespace */
	__u32 flags;
	__u16 executable_size; /* components from the last to the first, each NUL-terminated, see process.bpf.c */
	__u16 directory_size;  /* as executable_size */
	__u16 args_size;       /* argv as in memory: NUL-terminated strings */
	__u16 started_as_size; /* with its NUL */
	char executable[EXECUTABLE_SIZE];
	char directory[DIRECTORY_SIZE]; /* working directory at exec */
	char args[ARGS_SIZE];
	char started_as[STARTED_AS_SIZE]; /* the path given to execve(2), perhaps a link's; cut where it is longer */
};

struct own_key {
	__u8 address[16];
};

/* value of `processes`, whose key is the tgid in the initial pid namespace */
struct process_entry {
	__u64 exec_id;
	__u64 started_ns; /* group leader's start_boottime */
	__u32 user;       /* in whose share it is counted; 0: in none (root's, and what user space wrote) */
	__u32 pad;
};

/* How many a user has. */
struct share {
	__u32 images, processes;
};

/* The process whose socket it is: the newest that used it. */
struct owner {
	__u64 exec_id;
	__u64 started_ns;
	__u32 pid;
	__u32 uid; /* real uid at that use, initial user namespace */
};

/*
 * UNBOUND: the socket is not in `bindings`, so there is nothing to look up when it is closed. ALONE: it did not ask to
 * share its port, so no other socket has that, even if the port found no room in the tables. BOUND_TO_IPV6: another
 * socket may have the port for IPv4.
 */
enum boundness { UNBOUND = 0, BOUND = 1, ALONE = 2, BOUND_TO_IPV6 = 3 };

/* What became of the SYN of the last connect(): held or not sent yet; let go; refused by a reset; refused by ICMP. */
enum syn_fate { SYN_HELD = 0, SYN_LET_GO = 1, SYN_RESET = 2, SYN_UNREACHABLE = 3 };

/* value of `sockets`, whose key is the socket cookie. The watch is in it so that beginning one costs no look-up. */
struct owned_socket {
	struct owner owner;
	__u64 sk;          /* the kernel's struct sock, open as long as this is in the table; 0: not known */
	__u64 program;     /* TCP: as in a traffic_key, of what was let go last by the socket, or to it if it listens */
	__u32 rule;        /* likewise */
	__u32 is_summed;   /* what its connection carried is in a row: it has ended, and is not closed yet */
	__u16 let_go_port; /* with let_go_to: the remote that the SYN was let go to */
	__u8 syn;          /* enum syn_fate */
	__u8 boundness;    /* enum boundness */
	__u8 watch;        /* enum watch_state of a TCP socket; 0: no watch was begun */
	__u8 is_given;     /* the owner got it from another process, and has not used it yet */
	__u8 is_tied;      /* TCP: what it sends may leave by one interface alone */
	__u8 protocol;     /* TCP or UDP where a program was seen to make it, and it is no raw socket; else 0 */
	__u8 let_go_to[16];
};

/* key of `listeners`; address all zero (IPv6) or ::ffff:0.0.0.0 (IPv4): any */
struct listener_key {
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 pad;
};

/* Who has a port. Several sockets may take one (socket(7), SO_REUSEPORT and SO_REUSEADDR). */
struct listener {
	__u64 cookie; /* of the first of them, as its owner */
	struct owner owner;
	__u32 members;   /* how many sockets */
	__u32 is_shared; /* not 0: by different programs or users; another number each time when they change */
};

/*
 * What user space tells the kernel's side: a socket has this port; a socket that had a port is closed; who uses a
 * socket; and that the caller reads the queues from now on.
 */
enum sync_kind { SYNC_PORT = 1, SYNC_END = 2, SYNC_OWNER = 3, SYNC_READER = 4 };

struct sync {
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
} __attribute__((aligned(8))); /* so that it is copied in words of 8 bytes */

/*
 * Whose a flow is, and what was decided for it alone. The verdict program writes it on a miss, for what a watch shows
 * and for DNS questions. User space sets the verdict, which holds only for the same socket cookie and program.
 */
struct flow_entry {
	__u64 cookie;     /* 0: no socket */
	__u64 expires_ns; /* 0: never */
	struct owner owner;
	__u32 generation;
	__u32 verdict;
	__u32 interface; /* the only one by which an allowed flow may leave; 0: any */
	__u32 rule;      /* where its uses are counted, 0: nowhere */
};

/* key of `displaced`: the flow of one socket, where several send between the same ends */
struct displaced_key {
	struct flow_key flow;
	__u64 cookie;
};

/* As long as conntrack would wait: nf_conntrack_udp_timeout, nf_conntrack_udp_timeout_stream */
#define ANSWER_NS 30000000000ULL
#define LULL_NS 120000000000ULL

/*
 * What was allowed last between two ends, of any protocol but TCP: an answer to it may pass. key: flow_key, direction
 * 0. Times are CLOCK_MONOTONIC_COARSE, read in an eighth of the time; it stands still in suspend, as conntrack's.
 */
struct conversation {
	__u64 cookie;  /* of the local socket, whether it began or answers; 0: none */
	__u64 exec_id; /* the local program */
	__u64 seen_ns;
	__u64 judged_ns;           /* when the rules last allowed a packet of it */
	__u64 program;             /* as in a traffic_key */
	__u64 bytes_in, bytes_out; /* of its payload, that are in no row yet */
	__u32 generation;
	__u32 pid; /* the process that ran when that packet was judged */
	__u32 uid;
	__u8 begun_by; /* enum direction */
	__u8 is_answered;
	__u8 is_watched; /* each packet sent is judged, even once it is answered */
	__u8 is_own;     /* the remote is an address of this machine */
	__u32 interface; /* the only one by which packets may leave; 0: any */
	__u32 is_local;  /* IPv6: it goes by loopback, which is surer to know than whose the addresses are */
	__u32 rule;      /* as `program` */
	__u32 is_new;    /* it is not counted in a row yet */
};

/*
 * Which columns of a connection a verdict rests on: the grain of its program, and whether remote and port count. A mask
 * is a grain, and any of the two flags; there are MASKS of them. Looked up in this order.
 */
enum grain { GRAIN_FILE = 0, GRAIN_EXEC = 1, GRAIN_ARGS = 2, GRAIN_LINEAGE = 3 };

#define GRAIN_BITS 3
#define MASK_ANY_REMOTE 4 /* the key's remote is 0 */
#define MASK_ANY_PORT 8   /* the key's port is 0 */
#define MASKS 16

struct verdict_key {
	__u64 program; /* by the grain of the mask: an exec id, or a hash of the image */
	__u8 remote[16];
	__u32 uid;
	__u16 port; /* the remote one if outbound, the local one if inbound; 0 for all but TCP and UDP */
	__u8 protocol;
	__u8 mask; /* mask << 1 | enum direction */
};

struct verdict_value {
	__u64 expires_ns; /* 0: never */
	__u32 generation;
	__u16 verdict;
	__u16 rule; /* where its uses are counted, 0: nowhere */
};

#define RULES_COUNTED 16384

/* How often a rule decided, and when last. User space says which rule has which index, and only reads. */
struct rule_use {
	__u64 count;
	__u64 last_ns; /* boot time */
};

/* A UDP socket may send to many remotes. So may a TCP socket, after connect() to AF_UNSPEC, while its first is read. */
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

/*
 * Connections that are alike in this, and what they carried, are summed up in one row, until user space takes the row
 * away (traffic.bpf.h).
 */
struct traffic_key {
	__u64 program; /* that of the key under which its verdict was found, else its exec id */
	__u8 remote[16];
	__u32 uid;
	__u32 rule;    /* where its uses are counted, 0: nowhere */
	__u32 verdict; /* VERDICT_ALLOW or VERDICT_DENY */
	__u16 port;    /* as in a verdict_key */
	__u8 protocol;
	__u8 direction;
};

/* Bytes are those of the payload. More may be taken back than was there, in the row that is taken away next. */
struct traffic {
	__u64 connections;
	__u64 bytes_in, bytes_out;
	__u64 first_ns, last_ns; /* CLOCK_MONOTONIC, by its coarse clock mostly */
};

#define TRAFFIC_ROWS 16384  /* of each of the two tables */
#define TRAFFIC_OF_ONE 4096 /* of one user, root too, until rows are taken away */
#define TRAFFIC_MANY 2048   /* user space is told when there are so many */

#define QUOTA_MOMENT_NS 67108864ULL /* the length of a moment, by CLOCK_MONOTONIC_COARSE */

/* Whose packets are counted: those of one program, or of all programs of a user (quota.bpf.h). */
struct quota_key {
	__u64 exec_id;
	__u32 uid;
	__u32 direction; /* enum direction, apart for packets that are judged and messages that are read */
};

struct quota_use {
	__u32 moment; /* the last in which there was any: a number */
	__u32 count;  /* in that moment */
};

/* The one entry of `settings`: user space writes through a memory map, field by field (next_exec_id: only at first). */
struct settings {
	__u64 next_exec_id;
	__u64 netns_cookie; /* the only network namespace that is judged */
	__u64 hash_key_low; /* of the ids in `struct image`: random, and root's alone */
	__u64 hash_key_high;
	__u32 generation;
	__u32 is_scoped;          /* judge one cgroup (tinysnitch run): of what comes in, only ports in `listeners` */
	__u32 is_tracing;         /* write `traces` */
	__u32 is_watching;        /* a verdict with a watch was given */
	__u32 has_lost_listeners; /* some port found no room: see `lost_ports` */
	__u32 denied_at;          /* when a packet was last marked as denied, in units of 2^30 ns (BPF alone) */
	__u32 flow_generation;    /* the last in which a verdict was given for a flow alone */
	__u32 own_epoch;          /* an address in `own_addresses` with an earlier epoch is no longer this machine's */
	__u32 has_ties;           /* a verdict was given that holds for one interface alone */
	__u32 is_reset_lost;      /* a reset that refuses a SYN does not reach its socket (BPF alone) */
	__u32 packet_limit;       /* packets of any one user that may be held in a moment; 0: any number */
	__u32 message_limit;      /* messages of any one user that may be read in a moment; 0: any number */
	__u32 masks;              /* those of verdicts of this generation: bit N for mask N */
	__u32 traffic_turn;       /* 0: before the first. It ends when rows are taken; odd ones have a table apart */
	__u32 traffic_rows;       /* new ones in this turn */
	__u32 is_awaited;         /* user space will look for rows by itself, or was told that there are some */
	struct owner reader;      /* of the queues (BPF alone): in its context held packets of others walk again */
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
	LOST_MARKS,         /* denied, but other rules took its mark, or it was denied later: dropped last of all */
	LOST_ANSWERS,       /* a SYN+ACK to a SYN that was not let go */
	LOST_FIRST_PACKETS, /* scoped: to a port that no hook had told of */
	LOST_ASTRAY,        /* to an address of this machine, yet on its way to another one */
	LOST_OVER_QUOTA,    /* beyond what a program or a user may have held */
	LOST_MESSAGES,      /* beyond what a program or a user may have read; or several in one packet */
	LOST_TRAFFIC,       /* connections that are in no row of `traffic` */
	STATISTICS
};

/* A DNS question that left, from its IP header, and who asked. With the ring buffer's header it takes 512 bytes. */
#define ASKED_SIZE 480

struct asked {
	__u64 time_ns;
	__u64 exec_id;
	__u32 uid;
	__u32 size;
	__u8 packet[ASKED_SIZE];
};

/*
 * One line of tinysnitch-trace, only while `is_tracing` is set, or its own programs are loaded (the last three).
 * TRACE_TRAFFIC: there are rows of `traffic` to take away.
 */
enum trace_kind {
	TRACE_EXEC = 1,
	TRACE_CONNECT = 2,
	TRACE_SEND = 3,
	TRACE_BIND = 4,
	TRACE_TRAFFIC = 5,
	TRACE_FORK = 6,
	TRACE_EXIT = 7,
	TRACE_ACCEPT = 8,
};

struct trace_event {
	__u64 time_ns;
	__u64 cookie;
	struct owner owner;
	__u8 address[16];
	__u16 port;
	__u8 protocol;
	__u8 kind;
	__u32 detail; /* of a fork the parent's pid, of an exit what wait(2) tells */
};

#endif
