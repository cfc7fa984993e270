/* What is refused: a map that libbpf would pin by its name. */
#include "bpf.h"

struct {
	UINT(type, ARRAY);
	TYPE(key, u32);
	TYPE(value, u64);
	UINT(max_entries, 1);
	UINT(pinning, 1);
} shared SEC(".maps");

SEC("tc") int touch(struct __sk_buff *skb)
{
	u32 key = 0;

	return lookup(&shared, &key) ? -1 : 0;
}

char _license[] SEC("license") = "GPL";
