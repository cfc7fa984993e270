/* Maps as they were before BTF. */
#include "bpf.h"

struct {
	u32 type, key_size, value_size, max_entries, map_flags;
} hits SEC("maps") = { ARRAY, 4, 8, 2, 0 };

SEC("classifier") int count(struct __sk_buff *skb)
{
	u32 key = 1;
	u64 *value = lookup(&hits, &key);

	if (value)
		*value += 1;
	return -1;
}

char _license[] SEC("license") = "Dual MIT/GPL";
