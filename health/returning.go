package health

import (
	"cmp"
	"time"
)

// Returning is how a server comes back that holds what the present primary lacks.
type Returning struct {
	// Doing is archive, rewind, clone, start or wait.
	Doing string `json:"doing"`
	// Extra is the GTID set that the primary lacks.
	Extra string `json:"extra,omitempty"`
	// Archive is the directory on the node that keeps Extra; empty: it is not archived yet, and nothing was changed.
	Archive string `json:"archive,omitempty"`
	// Why says why that is done or, of a wait, what it waits for and the way out.
	Why string `json:"why,omitempty"`
	// Replaced says that its data is being replaced by a copy, or was removed by one that did not end: whatever it says that it
	// holds, nothing on it counts (G2).
	Replaced bool `json:"replaced,omitempty"`
	// Progress is how far a copy is.
	Progress string `json:"progress,omitempty"`
	// Problem is why the last attempt failed.
	Problem string `json:"problem,omitempty"`
}

// Emptied says why nothing counts that a server says to hold, or "": a copy replaces its data, or has removed it and did not end.
// It may say that it has every transaction, and have no row of them (G2).
func (r Report) Emptied() string {
	if r.Returning == nil || !r.Returning.Replaced {
		return ""
	}
	return cmp.Or(r.Returning.Why, "a copy replaces it")
}

// Archived is one archive of transactions on a node's disk.
type Archived struct {
	ID      string    `json:"id"`
	Epoch   uint64    `json:"epoch"`
	Primary string    `json:"primary"` // who lacked them
	GTIDs   string    `json:"gtids"`
	Count   int       `json:"count"` // of transactions
	First   time.Time `json:"first"` // when the first and the last of them were written
	Last    time.Time `json:"last"`
	At      time.Time `json:"at"` // when they were archived
	Bytes   int64     `json:"bytes"`
	File    string    `json:"file"` // absolute path on the node
}
