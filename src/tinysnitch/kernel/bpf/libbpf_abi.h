/* The part of libbpf 1.x that we call, for cffi's ABI mode (hatch_build.py makes _libbpf_abi.py of it). */

/* libbpf.h: `sz` is the size of the struct; libbpf takes the fields that it lacks to be zero. */
struct bpf_object_open_opts {
	size_t sz;
	const char *object_name;
	_Bool relaxed_maps;
	const char *pin_root_path;
	uint32_t reserved;
	const char *kconfig;
	const char *btf_custom_path;
	char *kernel_log_buf;
	size_t kernel_log_size;
	uint32_t kernel_log_level;
};

/* bpf.h: likewise; the fields after `repeat` are left out. */
struct bpf_test_run_opts {
	size_t sz;
	const void *data_in;
	void *data_out;
	uint32_t data_size_in;
	uint32_t data_size_out;
	const void *ctx_in;
	void *ctx_out;
	uint32_t ctx_size_in;
	uint32_t ctx_size_out;
	uint32_t retval;
	int repeat;
};

void *libbpf_set_print(void *print);
int libbpf_num_possible_cpus(void);

void *bpf_object__open_file(const char *path, const struct bpf_object_open_opts *opts);
int bpf_object__load(void *object);
void bpf_object__close(void *object);
void *bpf_object__find_program_by_name(const void *object, const char *name);

int bpf_program__pin(void *program, const char *path);
void *bpf_program__attach(const void *program);
void *bpf_program__attach_cgroup(const void *program, int cgroup_fd);
int bpf_link__pin(void *link, const char *path);
int bpf_link__destroy(void *link);
int bpf_link__fd(const void *link);

int bpf_iter_create(int link_fd);

int bpf_obj_get(const char *path);
int bpf_prog_test_run_opts(int fd, struct bpf_test_run_opts *opts);
int bpf_map_lookup_elem(int fd, const void *key, void *value);
int bpf_map_get_next_key(int fd, const void *cur_key, void *next_key);
int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags);
int bpf_map_delete_elem(int fd, const void *key);
int bpf_map_lookup_and_delete_batch(int fd, void *in_batch, void *out_batch, void *keys, void *values, uint32_t *count,
				    const void *opts);

void *ring_buffer__new(int map_fd, int (*sample)(void *, void *, size_t), void *ctx, const void *opts);
int ring_buffer__consume(void *ring);
int ring_buffer__epoll_fd(const void *ring);
void ring_buffer__free(void *ring);
