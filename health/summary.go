package health

import (
	"cmp"
	"fmt"
	"net"
	"strconv"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// Address is host:port as reports write it.
func Address(host string, port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }

// Describe fills the parts of a report that come from an observation.
func Describe(o Observation, r *Report) {
	r.Process, r.Incarnation = o.Process, o.Incarnation
	r.UnreachableMillis = o.Unreachable.Milliseconds()
	if o.Unreachable > 0 {
		r.UnreachableMillis = max(r.UnreachableMillis, 1)
	}
	if o.Err != nil {
		r.ServerError = o.Err.Error()
	}
	r.Canary = o.Canary
	if !o.Good {
		r.UnreachableMillis = max(r.UnreachableMillis, 1)
		return
	}
	st := o.Status
	r.Member.ServerUUID, r.Member.ServerID = st.UUID, st.ServerID
	r.Member.Flavor, r.Member.Version = registry.Flavor(st.Flavor), st.Version
	r.ReadOnly = st.ReadOnly
	r.Position, r.Executed = st.Position().String(), st.Executed.String()
	rep := st.Replication
	if rep == nil {
		return
	}
	r.Replication = &Replication{
		Source:        Address(rep.SourceHost, rep.SourcePort),
		Receiver:      string(rep.Receiver),
		Applier:       rep.Applier,
		Error:         rep.ReceiverError,
		ErrorNumber:   rep.ReceiverErrorNumber,
		SilenceMillis: o.Silence.Milliseconds(),
		LagSeconds:    -1,
		DelaySeconds:  rep.Delay,
		SemiSync:      st.SemiSync.ReplicaEnabled,
	}
	if rep.ApplierError != "" || rep.ApplierErrorNumber != 0 { // that of the receiver is often over by itself
		r.Replication.Error, r.Replication.ErrorNumber = rep.ApplierError, rep.ApplierErrorNumber
	}
	if rep.LagSeconds != nil {
		r.Replication.LagSeconds = *rep.LagSeconds
	}
}

// Failure is the error that keeps a server from following, as "error 1062: ..."; empty where there is none.
func (r *Replication) Failure() string {
	switch {
	case r == nil || r.Error == "" && r.ErrorNumber == 0:
		return ""
	case r.ErrorNumber == 0:
		return r.Error
	}
	return fmt.Sprintf("error %d: %s", r.ErrorNumber, r.Error)
}

// Broken says which part of following does not run, and why; empty where both do.
func (r *Replication) Broken() string {
	why := cmp.Or(r.Failure(), "there is no error: somebody has stopped it")
	switch {
	case r == nil:
		return "it is not set to follow anybody"
	case !r.Applier && r.Receiver == string(mysqld.ReceiverStopped):
		return "it neither receives nor applies: " + why
	case !r.Applier:
		return "it receives and applies nothing: " + why
	case r.Receiver == string(mysqld.ReceiverStopped):
		return "it receives nothing: " + why
	}
	return ""
}
