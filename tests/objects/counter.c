/* Everything that is read: BTF maps, data sections, calls into .text, several programs in one object. */
#include "bpf.h"

struct {
	UINT(type, HASH);
	TYPE(key, u32);
	TYPE(value, u64);
	UINT(max_entries, 64);
	UINT(map_flags, 1);
} lengths SEC(".maps");

struct {
	UINT(type, ARRAY);
	UINT(key_size, 4);
	UINT(value_size, 16);
	UINT(max_entries, 3);
} sums SEC(".maps");

const volatile u32 verdict = 2;
u64 seen = 40;
static volatile u64 last;

static __attribute__((noinline)) u64 twice(u64 number)
{
	return number + number;
}

__attribute__((noinline)) u64 four_times(u64 number)
{
	return twice(twice(number));
}

SEC("xdp") int count_xdp(struct xdp_md *ctx)
{
	u64 length = ctx->data_end - ctx->data, one = 1, *value;
	u32 key = length, zero = 0;

	seen++;
	last = four_times(length);
	value = lookup(&lengths, &key);
	if (value)
		*value += 1;
	else
		update(&lengths, &key, &one, 0);
	value = lookup(&sums, &zero);
	if (value)
		value[1] += last;
	return verdict;
}

SEC("tcx/ingress") int count_in(struct __sk_buff *skb)
{
	seen += twice(skb->len);
	return -1;
}

SEC("tc") int drop_out(struct __sk_buff *skb)
{
	return 2;
}

char _license[] SEC("license") = "GPL";
