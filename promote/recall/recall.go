// Package recall tells whether a server still has everything that it received: what its memory hangs on, and whether that went on.
package recall

import (
	"strconv"
	"strings"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
)

// Memory names what a server's memory of what it received hangs on: its process, and on MariaDB the two threads that replicate
// as well. There the relay log is deleted when a thread starts while neither runs; somebody who says STOP REPLICA and START
// REPLICA by hand makes that happen in a moment, and the process goes on. It is "" while the process is not known, or has not
// answered yet: then nobody knows which of the two kinds it is.
func Memory(o health.Observation) string {
	if o.Status.Flavor == "" {
		return ""
	}
	return string(appendMemory(nil, o))
}

// appendMemory appends the memory of a server that has answered.
func appendMemory(to []byte, o health.Observation) []byte {
	r := o.Status.Replication
	if o.Status.Flavor != mysqld.MariaDB || r == nil {
		return append(to, o.Incarnation...)
	}
	to = strconv.AppendUint(append(append(to, o.Incarnation...), ' '), r.ReceiverThread, 10)
	return strconv.AppendUint(append(to, '/'), r.ApplierThread, 10)
}

// Is reports whether memory is what Memory would return.
func Is(memory string, o health.Observation) bool {
	if o.Status.Flavor == "" {
		return memory == ""
	}
	var room [64]byte
	return memory == string(appendMemory(room[:0], o))
}

// Lasts reports whether nothing that was received when Memory was before can have been deleted since: the process is the same,
// and one of the threads has run all the time. Each start of a thread has a number of its own.
func Lasts(before string, o health.Observation) bool {
	if same := Is(before, o); same || o.Incarnation == "" || o.Status.Flavor == "" {
		return same && before != ""
	}
	process, threads, replica := strings.Cut(before, " ")
	switch {
	case process != o.Incarnation:
		return false
	case o.Status.Flavor != mysqld.MariaDB:
		return true
	case !replica || o.Status.Replication == nil:
		return false // what it follows was set, or reset, since
	}
	receiver, applier, _ := strings.Cut(threads, "/")
	ran := func(before string, now uint64) bool { return now != 0 && before == strconv.FormatUint(now, 10) }
	return ran(receiver, o.Status.Replication.ReceiverThread) || ran(applier, o.Status.Replication.ApplierThread)
}
