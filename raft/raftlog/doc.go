// Package raftlog keeps one server's log, term and vote on its disk, and never starts from less than it has promised.
//
// A data directory holds
//
//	lock        locked while a process uses it; says which
//	birth       the birth certificate: cluster, node, format and marks below which the log must never be found
//	log/*.seg   the segments, one chain of checksummed frames
//	snapshots/  the vendor's
//
// An append is one write and one sync into a preallocated segment, whatever it holds: entries with the commit index that
// was staged for them, a term, a vote, or the record that a tail is void. See frame.go for the bytes and
// docs/raft-store.md for why it is not a database.
//
// At Open everything is read and checked, and every doubt is an error that wraps ErrDamaged, with one exception: a write
// that was under way when the machine stopped is cut off. It is recognised by what is missing. Files are all zeros before
// they are written and frames begin and end with other bytes, so a sector that never reached the disk is seen; the frame
// must be the last, and frames follow each other only after a sync, so nobody was ever told about it. Wrong bytes in the
// place of missing ones are damage, also in the last frame.
//
// The first error of a write or a sync poisons the store: nothing is tried again, because after a failed sync the kernel
// may have dropped the bytes and would report success.
package raftlog
