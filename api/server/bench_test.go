package server_test

import (
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/identity"
)

// BenchmarkFollow is from a commit to its state at a follower, over loopback and TLS.
func BenchmarkFollow(b *testing.B) {
	r := start(b, nil, "s1")
	c, err := api.NewClient(api.ClientConfig{Addrs: api.Static(r.addrs("s1")...), Transport: r.as(identity.RoleClient, "web1"), Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	f := api.NewFollower(c, clusterID)
	run(b, f.Run)
	for b.Loop() {
		i := r.must(clientNode("web1"))
		until(b, "the commit at the follower", f.Changed, func() bool { return f.State().Index() >= i })
	}
}

// BenchmarkReport is from Send to Receive at the last of three servers, over loopback and TLS.
func BenchmarkReport(b *testing.B) {
	r := start(b, nil, "s1", "s2", "s3")
	p, err := api.NewReporter(api.ReporterConfig{Addrs: api.Static(r.addrs("s1", "s2", "s3")...), Transport: r.as(identity.RoleClient, "db2"), Log: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	run(b, p.Run)
	var n uint64
	for b.Loop() {
		n++
		p.Send(report("db2", n))
		for _, s := range r.group.nodes {
			s.hear(b, "its number", seq(n))
		}
	}
}
