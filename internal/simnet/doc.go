// Package simnet is a network made of memory with cuts, loss and delay.
//
// It is meant for testing/synctest bubbles, where a whole cluster runs in simulated time: nothing in it is a system call,
// a sleep or a goroutine that outlives the call that needed it. It also works outside a bubble, in real time.
//
//	n := simnet.New()
//	defer n.Close()
//	a, b := n.Host("a"), n.Host("b")
//	ln, err := b.Listen(7450)            // net.Listener
//	conn, err := a.Dial(b.Addr(7450), time.Second)
//	gossip := a.Transport(7451)          // memberlist.Transport
//	raft, err := a.StreamLayer(7450)     // net.Listener and Dial, for Raft
//	client := &http.Transport{DialContext: a.DialContext}
//	n.Cut("a", "b")
//
// What is modelled, and how:
//   - A packet is delivered at once, or after the delay; or lost, by chance, by a cut, or because the receiver's queue of
//     256 is full.
//   - A connection is a byte stream each way with a window of 256 KiB, deadlines, end of stream and reset. Cuts and pauses
//     hold the stream's bytes, as TCP's retransmission does, and healing lets them through at once. Loss delays bytes by
//     200 ms for each time they are lost. A connection has no timeout of its own: who needs one sets deadlines.
//   - Dialling over a cut waits for the heal, the end of the pause or its own deadline; a port nobody listens on refuses.
//   - A paused host is a frozen machine: what it sends and what is sent to it waits until Resume. Its goroutines cannot be
//     stopped and its timers run on, so to its own eyes everyone else has gone silent: that is harsher than a real freeze,
//     of which the frozen process sees only the end.
//   - A host always reaches itself.
//
// What is not modelled: bandwidth, reordering of packets beyond jitter, half-open connections, names longer than a label.
//
// A bubble ends only when all its goroutines have. Close and Host.Crash therefore end every connection, also those that
// hashicorp/raft's transport leaves behind when it is closed.
package simnet
