package mysqldtest

import (
	"fmt"
	"slices"

	"github.com/baton-db/baton/mysqld"
)

// Server is one database server: what is on its disk, and the process that runs on it.
type Server struct {
	ID     string
	Number uint32
	Host   string
	Port   uint16

	group *Group

	// On disk.
	log    []Txn // the binary log
	relay  []Txn // received, not applied
	source *Server
	fenced string // the tag of a durable fence: the source is a host that does not exist
	set    bool   // a source is configured

	// Of the process.
	running   bool
	stopped   bool // SIGSTOP
	starts    int
	committed int // log[:committed] is visible, the rest waits for acknowledgements
	readOnly  bool
	waits     bool // semi-sync source side
	k         int
	heeds     bool // semi-sync replica side, as set
	acking    bool // as in force since the receiver started
	receiver  bool
	applier   bool
	broken    string // why the receiver cannot go on
	conn      int    // number of the receiver's connection
	beats     int
	acked     map[uint32]int // how far each replica has acknowledged the log
	markAt    int            // log[:markAt] holds the marker that waits, written by the process markOf
	markOf    int
	proveAt   int // log[:proveAt] holds the transaction of a Prove that waits, written by the process proveOf
	proveOf   int
	proveFor  uint64
	inbox     []ack
	conns     map[uint32]int
}

// ack says that a replica has everything in the log before upTo.
type ack struct {
	from uint32
	upTo int
}

// Address is host:port.
func (s *Server) Address() string { return fmt.Sprintf("%s:%d", s.Host, s.Port) }

// UUID is the server's UUID on MySQL.
func (s *Server) UUID() string {
	return fmt.Sprintf("00000000-0000-0000-0000-%012d", s.Number)
}

// boot begins a process. The group is locked, or nobody else has it yet.
func (s *Server) boot() {
	s.running, s.stopped, s.starts = true, false, s.starts+1
	s.committed = len(s.log)
	s.readOnly, s.waits, s.k, s.heeds, s.acking = true, false, 0, false, false
	s.receiver, s.applier, s.broken = false, false, ""
	s.acked, s.inbox, s.conns = map[uint32]int{}, nil, map[uint32]int{}
	s.conn++
}

// Crash ends the process as kill -9 and a power cut do.
func (s *Server) Crash() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.crash()
}

func (s *Server) crash() {
	s.running, s.stopped = false, false
	s.receiver, s.applier = false, false
	if s.group.Flavor == mysqld.MariaDB || s.group.RelayLogRecovery {
		s.relay = nil
	}
}

// Start begins a process where none runs.
func (s *Server) Start() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if !s.running {
		s.boot()
	}
}

// Wipe replaces the disk of a server that does not run by an empty one.
func (s *Server) Wipe() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if !s.running {
		s.log, s.relay, s.source, s.fenced, s.set = nil, nil, nil, "", false
	}
}

// Freeze stops the process (SIGSTOP), Thaw lets it go on.
func (s *Server) Freeze() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.stopped = s.running
}

// Thaw lets a frozen process go on.
func (s *Server) Thaw() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.stopped = false
}

// Answers reports whether the process runs and is not frozen.
func (s *Server) Answers() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.answers()
}

func (s *Server) answers() bool { return s.running && !s.stopped }

// Running reports whether there is a process.
func (s *Server) Running() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.running
}

// Open reports whether applications can write.
func (s *Server) Open() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.running && !s.readOnly
}

// HumanOpens lets somebody make the server writable behind baton's back, HumanStarts start replication.
func (s *Server) HumanOpens() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.answers() {
		s.readOnly = false
	}
}

// HumanStarts lets somebody say START REPLICA behind baton's back.
func (s *Server) HumanStarts() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.answers() && s.set {
		s.start()
	}
}

// Log returns the binary log; what of it is visible comes first.
func (s *Server) Log() []Txn {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return slices.Clone(s.log)
}

// Visible returns what clients can read.
func (s *Server) Visible() []Txn {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return slices.Clone(s.log[:s.committed])
}

// HoldsLocked is Holds for Group.OnAck, while the group is locked.
func (s *Server) HoldsLocked(t Txn) bool { return s.holds(t) }

// Holds reports whether t is on the disk, applied or not.
func (s *Server) Holds(t Txn) bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.holds(t)
}

func (s *Server) holds(t Txn) bool { return slices.Contains(s.log, t) || slices.Contains(s.relay, t) }

// write appends a transaction of this server.
func (s *Server) write(kind Kind) Txn {
	t := Txn{Origin: s.Number, Number: 1}
	for _, x := range s.log {
		if s.group.Flavor == mysqld.MariaDB || x.Origin == s.Number {
			t.Number = max(t.Number, x.Number+1)
		}
	}
	s.log = append(s.log, t)
	s.group.kinds[t] = kind
	if !s.waits {
		s.commitTo(len(s.log))
	}
	return t
}

// release commits what enough replicas have acknowledged.
func (s *Server) release() {
	for n := s.committed + 1; n <= len(s.log); n++ {
		have := 0
		for _, upTo := range s.acked {
			if upTo >= n {
				have++
			}
		}
		if have < s.k {
			return
		}
		s.commitTo(n)
	}
}

// commitTo commits log[:n], and answers the clients that waited.
func (s *Server) commitTo(n int) {
	for ; s.committed < n; s.committed++ {
		if t := s.log[s.committed]; t.Origin == s.Number && s.group.kinds[t] == Application {
			s.group.OnAck(s, t)
		}
	}
}

// apply commits the next received transaction.
func (s *Server) apply() {
	t := s.relay[0]
	s.relay = s.relay[1:]
	if slices.Contains(s.log, t) {
		return
	}
	// Nothing waits here: a server that follows does not ask for acknowledgements.
	s.log = append(s.log, t)
	s.committed = len(s.log)
}

// start is START REPLICA.
func (s *Server) start() {
	if s.group.Flavor == mysqld.MariaDB && !s.receiver && !s.applier {
		s.relay = nil
	}
	if !s.receiver {
		s.conn++
		s.acking, s.broken = s.heeds, ""
	}
	s.receiver, s.applier = true, true
}

// connected is the source that the receiver can hear now.
func (s *Server) connected() *Server {
	g := s.group
	if !s.answers() || !s.receiver || s.broken != "" || s.source == nil || s.fenced != "" {
		return nil
	}
	if src := s.source; src.answers() && !g.cut[line(s, src)] && src != s {
		return src
	}
	return nil
}

// following finds what s sends to replica to next.
func (s *Server) following(to *Server) (int, bool) {
	if s.group.Flavor == mysqld.MySQL {
		for i, t := range s.log {
			if !to.holds(t) {
				return i, true
			}
		}
		return 0, false
	}
	next := 0
	if have := slices.Concat(to.log, to.relay); len(have) > 0 {
		next = slices.Index(s.log, have[len(have)-1]) + 1
		if next == 0 {
			to.broken = fmt.Sprintf("error 1236: requested to start from GTID %s, which is not in the binary log", have[len(have)-1])
			return 0, false
		}
	}
	return next, next < len(s.log)
}
