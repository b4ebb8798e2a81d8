package mysqldtest

import (
	"slices"
	"strconv"

	"github.com/baton-db/baton/mysqld"
)

// Server is one database server: what is on its disk, and the process that runs on it.
type Server struct {
	ID     string
	Number uint32
	Host   string
	Port   uint16

	group *Group
	uuid  string
	addr  string

	// On disk.
	log    []Txn // the binary log
	relay  []Txn // received, not applied
	source *Server
	fenced string // the tag of a durable fence: the source is a host that does not exist
	set    bool   // a source is configured
	full   bool   // nothing can be written

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
	threads   uint64 // that were started
	io, sql   uint64 // numbers of those that run, or ran last
	acked     []int  // by number: how far each replica has acknowledged the log
	markAt    int    // log[:markAt] holds the marker that waits, written by the process markOf
	markOf    int
	proveAt   int // log[:proveAt] holds the transaction of a Prove that waits, written by the process proveOf
	proveOf   int
	proveFor  uint64
	inbox     []ack
	conns     []int  // by number: the connection of each replica
	name      string // of the process
	changes   int

	seen prints
	has  hint
}

// hint says that on its connection conn a replica has source.log[:upTo].
type hint struct{ conn, upTo int }

// ack says that a replica has everything in the log before upTo.
type ack struct {
	from uint32
	upTo int
}

// Address is host:port.
func (s *Server) Address() string { return s.addr }

// UUID is the server's UUID on MySQL.
func (s *Server) UUID() string { return s.uuid }

// boot begins a process. The group is locked, or nobody else has it yet.
func (s *Server) boot() {
	s.running, s.stopped, s.starts = true, false, s.starts+1
	if s.committed < len(s.log) {
		s.group.reached(UnacknowledgedVisibleAfterRestart)
	}
	s.committed = len(s.log)
	s.readOnly, s.waits, s.k, s.heeds, s.acking = true, false, 0, false, false
	s.receiver, s.applier, s.broken = false, false, ""
	s.listen()
	s.name = s.ID + "-" + strconv.Itoa(s.starts)
	s.conn++
	s.changes++
}

// listen forgets every replica.
func (s *Server) listen() {
	s.acked, s.inbox, s.conns = make([]int, s.group.size+1), nil, make([]int, s.group.size+1)
}

// Crash ends the process as kill -9 and a power cut do.
func (s *Server) Crash() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.crash()
}

func (s *Server) crash() {
	s.running, s.stopped = false, false
	s.changes++
	s.receiver, s.applier = false, false
	if s.group.Flavor == mysqld.MariaDB || s.group.RelayLogRecovery {
		s.forget(RelayLogLostInRestart)
	} else if len(s.relay) > 0 {
		s.group.reached(RelayLogKeptInRestart)
	}
}

// forget loses what was received and not applied.
func (s *Server) forget(how Quirk) {
	if len(s.relay) > 0 {
		s.group.reached(how)
	}
	s.relay = nil
	s.seen.stale = true
	s.has = hint{}
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
		s.seen, s.has, s.committed = prints{}, hint{}, 0
		for _, other := range s.group.servers {
			other.has = hint{}
		}
	}
}

// Freeze stops the process (SIGSTOP), Thaw lets it go on.
func (s *Server) Freeze() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.stopped = s.running
	s.changes++
}

// Thaw lets a frozen process go on.
func (s *Server) Thaw() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	s.stopped = false
	s.changes++
}

// Fill fills the server's disk, Empty makes room again. On a full disk nothing is received, applied or committed, and what
// has to write waits; reading and SELECT 1 work. It returns false where the disk was full already.
func (s *Server) Fill() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	was := s.full
	s.full = true
	return !was
}

// Empty makes room on the server's disk, and returns false where there was.
func (s *Server) Empty() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	was := s.full
	s.full = false
	return was
}

// Process names the process that runs, or ran last.
func (s *Server) Process() string {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.name
}

// Answers reports whether the process runs and is not frozen.
func (s *Server) Answers() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.answers()
}

func (s *Server) answers() bool { return s.running && !s.stopped }

// Changes grows when what an observer must not miss happens to the server: its process ends, begins, stops or goes on, or
// somebody else than its guard has a hand in it.
func (s *Server) Changes() int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.changes
}

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
		s.changes++
	}
}

// HumanStarts lets somebody say START REPLICA behind baton's back.
func (s *Server) HumanStarts() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.answers() && s.set {
		if s.fenced != "" {
			s.group.reached(FenceOutlivesStart)
		}
		s.start()
		s.changes++
	}
}

// HumanRestarts lets somebody say STOP REPLICA; START REPLICA behind baton's back.
func (s *Server) HumanRestarts() {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.answers() && s.set {
		s.receiver, s.applier = false, false
		s.conn++
		s.start()
		s.changes++
	}
}

// Log returns the binary log; what of it is visible comes first.
func (s *Server) Log() []Txn {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return slices.Clone(s.log)
}

// Everything returns what was written or received, applied or not.
func (s *Server) Everything() []Txn {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return slices.Concat(s.log, s.relay)
}

// Visible returns what clients can read.
func (s *Server) Visible() []Txn {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return slices.Clone(s.log[:s.committed])
}

// HoldsLocked is Holds for Group.OnAck, while the group is locked.
func (s *Server) HoldsLocked(t Txn) bool { return s.holds(t) }

// Read calls see with what clients can read beyond the first n transactions, and returns how many there are.
func (s *Server) Read(n int, see func(Txn)) int {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	for _, t := range s.log[min(n, s.committed):s.committed] {
		see(t)
	}
	return s.committed
}

// Writable reports whether an application that reaches the server can write, and so reads what it will be held to.
func (s *Server) Writable() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	return s.answers() && !s.readOnly
}

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
	if kind == Marker {
		s.group.markers = append(s.group.markers, t)
	}
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
		if t := s.log[s.committed]; t.Origin == s.Number && s.group.kind(t) == Application {
			s.group.OnAck(s, t)
		}
	}
}

// apply commits the next received transaction.
func (s *Server) apply() {
	t := s.relay[0]
	s.relay = s.relay[1:]
	s.seen.stale = true
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
		s.forget(RelayLogLostByStart)
	}
	if !s.receiver {
		s.conn++
		s.threads++
		s.acking, s.broken, s.io = s.heeds, "", s.threads
	}
	s.receiver = true
	s.startApplier()
}

// startApplier is START REPLICA SQL_THREAD, beside a receiver on MariaDB.
func (s *Server) startApplier() {
	if !s.applier {
		s.threads++
		s.sql = s.threads
	}
	s.applier = true
}

// connected is the source that the receiver can hear now.
func (s *Server) connected() *Server {
	g := s.group
	if !s.answers() || !s.receiver || s.broken != "" || s.source == nil || s.fenced != "" {
		return nil
	}
	if src := s.source; src.answers() && !g.isCut(s, src) && src != s {
		return src
	}
	return nil
}

// HearsClosed reports whether the source that the receiver hears takes no writes.
func (s *Server) HearsClosed() bool {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	src := s.connected()
	return src != nil && src.readOnly
}

// following finds what s sends to replica to next.
func (s *Server) following(to *Server) (int, bool) {
	if s.group.Flavor == mysqld.MySQL {
		if to.has.conn != to.conn {
			to.has = hint{conn: to.conn}
		}
		for i := to.has.upTo; i < len(s.log); i++ {
			if !to.holds(s.log[i]) {
				return i, true
			}
			to.has.upTo = i + 1
		}
		if n := len(to.log); n > 0 && !s.holds(to.log[n-1]) {
			s.group.reached(DivergedJoinsInSilence)
		}
		return 0, false
	}
	last, any := to.last()
	if !any {
		return 0, len(s.log) > 0
	}
	next := slices.Index(s.log, last) + 1
	if next == 0 {
		s.group.reached(DivergedIsRefused)
		to.receiver = false // it gives up for good
		to.conn++
		to.broken = "error 1236: requested to start from GTID " + last.String() + ", which is not in the binary log"
		return 0, false
	}
	return next, next < len(s.log)
}

// last is the newest transaction that s has.
func (s *Server) last() (Txn, bool) {
	switch {
	case len(s.relay) > 0:
		return s.relay[len(s.relay)-1], true
	case len(s.log) > 0:
		return s.log[len(s.log)-1], true
	}
	return Txn{}, false
}
