/* What is refused: a CO-RE relocation, a kernel function. Each in a program of its own, beside one that is fine. */
#include "bpf.h"

struct sk_buff {
	u32 len;
} __attribute__((preserve_access_index));

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, u32 *hash, u32 *type) __attribute__((section(".ksyms")));

SEC("tc/core") int core(struct sk_buff *skb)
{
	return skb->len ? -1 : 0;
}

SEC("xdp") int hash(struct xdp_md *ctx)
{
	u32 number = 0, type = 0;

	return bpf_xdp_metadata_rx_hash(ctx, &number, &type) ? 1 : 2;
}

SEC("tc") int fine(struct __sk_buff *skb)
{
	return -1;
}

char _license[] SEC("license") = "GPL";
