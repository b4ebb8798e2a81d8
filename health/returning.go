package health

import "time"

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
	// Progress is how far a copy is.
	Progress string `json:"progress,omitempty"`
	// Problem is why the last attempt failed.
	Problem string `json:"problem,omitempty"`
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
