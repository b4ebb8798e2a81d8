package mysqld

import (
	"context"
	"time"
)

type Secret string
type ProcessState string

type Process struct{}

func (Process) Incarnation() string                       { return "" }
func (Process) Kill() error                               { return nil }
func (Process) Watch(context.Context) <-chan ProcessState { return nil }

type Source struct {
	Host     string
	Port     uint16
	User     string
	Password Secret
	SemiSync bool
}
type ReceiverState string

const ReceiverStopped ReceiverState = "stopped"

type Replication struct {
	SourceHost     string
	SourcePort     uint16
	Receiver       ReceiverState
	Applier        bool
	ReceiverError  string
	ApplierError   string
	Heard          string
	LagSeconds     *int
	SemiSyncActive bool
}
type SemiSync struct {
	SourceEnabled, ReplicaEnabled bool
	K, ConnectedAckers            int
	Timeout                       time.Duration
}
type Status struct {
	Flavor             Flavor
	Version, UUID      string
	ServerID           uint32
	ReadOnly           bool
	Executed, Received GTIDSet
	Replication        *Replication
	SemiSync           SemiSync
}

func (st Status) Position() GTIDSet { return st.Executed.Union(st.Received) }
