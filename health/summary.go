package health

import (
	"net"
	"strconv"

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
		SilenceMillis: o.Silence.Milliseconds(),
		LagSeconds:    -1,
		DelaySeconds:  rep.Delay,
		SemiSync:      st.SemiSync.ReplicaEnabled,
	}
	if rep.ApplierError != "" {
		r.Replication.Error = rep.ApplierError
	}
	if rep.LagSeconds != nil {
		r.Replication.LagSeconds = *rep.LagSeconds
	}
}
