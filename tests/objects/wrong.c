/* What the verifier refuses: a read that nothing bounds. */
#include "bpf.h"

SEC("xdp") int careless(struct xdp_md *ctx)
{
	return ((u8 *)(long)ctx->data)[12];
}

char _license[] SEC("license") = "GPL";
