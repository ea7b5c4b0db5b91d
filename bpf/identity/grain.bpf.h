/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program is, in grains: verdicts that rest on no more than its file, its arguments or its ancestors hold for all
 * execs that are alike in these. Each grain is a SipHash-2-4 (Aumasson and Bernstein, 2012) with a random key that only
 * root can read, so nobody can look for two programs of one hash; the kernel protects its hash tables by the same
 * (Documentation/security/siphash.rst). A grain is 0 where the kernel's facts do not tell what user space would say.
 */
#ifndef GRAIN_BPF_H
#define GRAIN_BPF_H

#include "include/maps.bpf.h"

#ifndef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)
#endif

struct sip {
	__u64 v0, v1, v2, v3;
};

/* What is hashed, so that no two grains are of the same words */
enum hashed { HASHED_FILE = 1, HASHED_ARGS = 2, HASHED_LINEAGE = 3, HASHED_EXEC = 4 };

static __always_inline __u64 rotate(__u64 word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static __always_inline void mix(struct sip *sip)
{
	sip->v0 += sip->v1;
	sip->v1 = rotate(sip->v1, 13) ^ sip->v0;
	sip->v0 = rotate(sip->v0, 32);
	sip->v2 += sip->v3;
	sip->v3 = rotate(sip->v3, 16) ^ sip->v2;
	sip->v0 += sip->v3;
	sip->v3 = rotate(sip->v3, 21) ^ sip->v0;
	sip->v2 += sip->v1;
	sip->v1 = rotate(sip->v1, 17) ^ sip->v2;
	sip->v2 = rotate(sip->v2, 32);
}

static __always_inline void hash_word(struct sip *sip, __u64 word)
{
	sip->v3 ^= word;
	mix(sip);
	mix(sip);
	sip->v0 ^= word;
}

static __always_inline void begin_hash(struct sip *sip, const struct settings *settings, enum hashed what)
{
	__u64 low = settings->hash_key_low, high = settings->hash_key_high;

	sip->v0 = low ^ 0x736f6d6570736575ULL;
	sip->v1 = high ^ 0x646f72616e646f6dULL;
	sip->v2 = low ^ 0x6c7967656e657261ULL;
	sip->v3 = high ^ 0x7465646279746573ULL;
	hash_word(sip, what);
}

static __always_inline __u64 end_hash(struct sip *sip)
{
	sip->v2 ^= 0xff;
	for (int round = 0; round < 4; round++)
		mix(sip);
	return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

/* A text of the image in `scratch`, which is hashed from `at` to `end`. */
struct hashed_text {
	struct sip sip;
	__u32 at;
	__u32 end;
};

/* One word. A callback, as the verifier follows it once, and a loop once for each length of each text. */
static long hash_next(__u32 index, struct hashed_text *text)
{
	__u32 zero = 0, at = text->at + 8 * index, left;
	const struct image *image = bpf_map_lookup_elem(&scratch, &zero);
	__u64 word;

	if (!image || at >= text->end || at > sizeof(*image) - 8)
		return 1;
	left = text->end - at;
	word = *(const __u64 *)((const char *)image + at);
	if (left < 8)
		word &= (1ULL << (8 * left)) - 1;
	hash_word(&text->sip, word);
	return 0;
}

/* The size is hashed too, so that no text is the beginning of another. */
static __always_inline void hash_text(struct sip *sip, __u32 offset, __u32 size)
{
	struct hashed_text text = {.sip = *sip, .at = offset, .end = offset + size};

	hash_word(&text.sip, size);
	bpf_loop((size + 7) / 8, hash_next, &text, 0);
	*sip = text.sip;
}

static __always_inline __u64 hash_file(const struct settings *settings, const struct image *image)
{
	struct sip sip;

	if (image->flags & (IMAGE_PATH_CUT | IMAGE_DELETED | IMAGE_UNLINKED | IMAGE_USER_NAMESPACE))
		return 0;
	begin_hash(&sip, settings, HASHED_FILE);
	hash_word(&sip, image->inode);
	hash_word(&sip, image->cgroup_id);
	hash_word(&sip, (__u64)image->device << 32 | image->uid);
	hash_text(&sip, offsetof(struct image, executable), image->executable_size);
	return end_hash(&sip);
}

static __always_inline __u64 hash_args(const struct settings *settings, const struct image *image)
{
	struct sip sip;

	if (!image->file_id || image->flags & (IMAGE_ARGS_CUT | IMAGE_ARGS_UNREADABLE))
		return 0;
	begin_hash(&sip, settings, HASHED_ARGS);
	hash_word(&sip, image->file_id);
	hash_text(&sip, offsetof(struct image, args), image->args_size);
	return end_hash(&sip);
}

/* A parent that has no grains, as one from before the daemon, counts by its exec id: that has all its ancestors, too. */
static __always_inline __u64 hash_lineage(const struct settings *settings, const struct image *image)
{
	const struct image *parent = bpf_map_lookup_elem(&images, &image->parent_exec_id);
	struct sip sip;

	if (!image->file_id || !parent)
		return 0;
	if (parent->args_id && parent->lineage_id) {
		begin_hash(&sip, settings, HASHED_LINEAGE);
		hash_word(&sip, parent->args_id);
		hash_word(&sip, parent->lineage_id);
	} else {
		begin_hash(&sip, settings, HASHED_EXEC);
		hash_word(&sip, image->parent_exec_id);
	}
	hash_word(&sip, image->file_id);
	return end_hash(&sip);
}

/* `image`: the one in `scratch`, to which nothing else is to be added. */
static __always_inline void note_grains(const struct settings *settings, struct image *image)
{
	image->file_id = hash_file(settings, image);
	image->args_id = hash_args(settings, image);
	image->lineage_id = hash_lineage(settings, image);
}

#endif
