package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// maxSocketPath is the longest path for a unix socket that leaves room below the kernel's 107 bytes.
const maxSocketPath = 100

// Options says who a server is. Name, IP and ServerID are required.
type Options struct {
	// Name is the server's name in logs, errors and its directory: lower case letters, digits and dashes, at most 32.
	Name string
	// IP is where it listens, usually from a Subnet, and what it reports as its host.
	IP netip.Addr
	// Port is where it listens on IP; 0 means DefaultPort. Port+10000 is its reserved listener (admin_port, extra_port).
	Port uint16
	// ServerID is its replication identity, not 0 and unlike that of every other server it meets.
	ServerID uint32
	// Dir is an existing directory in which the server makes its own; "" means the lab's, which is on tmpfs when it can be.
	Dir string
	// DataDir is where the data directory is made, on a file system that a test wants to fill or freeze; "" means in Dir. What
	// is not data (socket, error log, locks) stays in Dir.
	DataDir string
	// Enter is a command that runs the server, as nsenter does; it must exec it, so that the process id stays. Empty: none.
	Enter []string
	// Extra are flags for the server itself; they override all others.
	Extra []string
	// Supervise, when above 0, starts the server again that long after it ended without being asked to by Kill, Stop or
	// Close, as an init system would. 0 leaves it dead.
	Supervise time.Duration
	// Log hears about starts and ends; nil means silence. What the server itself says is in LogTail.
	Log *slog.Logger
}

// Server is one real database server in a directory of its own. All methods may be called from any goroutine.
type Server struct {
	bin  *Binaries
	opts Options
	dir  string
	lock *os.File // held while dir is ours
	log  *slog.Logger
	wg   sync.WaitGroup // supervisors

	disk sync.Mutex // serialises what replaces the data directory; taken before mu

	mu     sync.Mutex
	proc   *process      // the newest process, nil before the first start
	quit   chan struct{} // not nil while the server should be running; closed when it no longer should
	closed bool
}

// New prepares a server that does not run yet and has no data directory yet; Start makes both. Close must be called.
func New(bin *Binaries, opts Options) (*Server, error) {
	if opts.Port == 0 {
		opts.Port = DefaultPort
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("new server %q: %w", opts.Name, err)
	}
	dir, lock, err := workDir(opts.Dir, opts.Name)
	if err != nil {
		return nil, fmt.Errorf("new server %s: %w", opts.Name, err)
	}
	opts.Extra = slices.Clone(opts.Extra)
	s := &Server{bin: bin, opts: opts, dir: dir, lock: lock, log: opts.Log.With("server", opts.Name)}
	if n := len(s.Socket()); n > maxSocketPath {
		return nil, errors.Join(fmt.Errorf("new server %s: socket path %s has %d bytes, at most %d work", opts.Name, s.Socket(), n, maxSocketPath), s.Close())
	}
	return s, nil
}

func (o Options) validate() error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`).MatchString(o.Name):
		return errors.New("name must be 1 to 32 of a-z, 0-9 and -")
	case !o.IP.IsValid():
		return errors.New("no IP")
	case o.ServerID == 0:
		return errors.New("no server id")
	case int(o.Port)+reservedPortOffset > 65535:
		return fmt.Errorf("port %d is above %d, which the reserved listener needs", o.Port, 65535-reservedPortOffset)
	case o.Supervise < 0:
		return fmt.Errorf("supervise %s is negative", o.Supervise)
	}
	return nil
}

// Name returns the server's name.
func (s *Server) Name() string { return s.opts.Name }

// Binaries returns what the server runs.
func (s *Server) Binaries() *Binaries { return s.bin }

// ServerID returns the server's replication identity.
func (s *Server) ServerID() uint32 { return s.opts.ServerID }

// Addr returns where the server listens on TCP.
func (s *Server) Addr() netip.AddrPort { return netip.AddrPortFrom(s.opts.IP, s.opts.Port) }

// Socket returns the path of the server's unix socket, under 100 bytes. It stays the same over restarts.
func (s *Server) Socket() string { return s.path("sock") }

// DataDir returns the path of the server's data directory. It exists after the first Start or Wipe.
func (s *Server) DataDir() string {
	if s.opts.DataDir != "" {
		return s.opts.DataDir
	}
	return s.path("data")
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// Pid returns the process id of the running server, 0 when none runs. A supervised server changes it.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || s.proc.ended() {
		return 0
	}
	return s.proc.pid
}

// Exited returns a channel that is closed when the process that runs now has ended and was reaped; it is closed already
// when none runs. The process of a later start has a channel of its own.
func (s *Server) Exited() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	return s.proc.done
}

// SetExtra replaces Options.Extra from the next start on, for a server that must come back with other flags.
func (s *Server) SetExtra(flags ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Extra = slices.Clone(flags)
}

// LogTail returns the last n lines the server wrote to its error log, over all its starts, newest last.
func (s *Server) LogTail(n int) string {
	const enough = 256 << 10 // bytes; more than any caller shows a person
	f, err := os.Open(s.path("error.log"))
	if err != nil {
		return fmt.Sprintf("(no error log: %v)", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Sprintf("(no error log: %v)", err)
	}
	buf := make([]byte, min(info.Size(), enough))
	read, _ := f.ReadAt(buf, info.Size()-int64(len(buf))) // a short read only makes a shorter tail
	return tail(buf[:read], n)
}

// Wipe replaces the data directory by a fresh copy of the template: no rows, no GTIDs, on MySQL a new server UUID. The
// server must be stopped; an unstarted one gets its first data directory.
func (s *Server) Wipe() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	if err := s.idle(); err != nil {
		return fmt.Errorf("wipe %s: %w", s.opts.Name, err)
	}
	if err := os.RemoveAll(s.DataDir()); err != nil {
		return fmt.Errorf("wipe %s: %w", s.opts.Name, err)
	}
	if err := s.bin.copyTemplate(s.DataDir()); err != nil {
		return fmt.Errorf("wipe %s: %w", s.opts.Name, err)
	}
	return nil
}

// Close kills the server, removes its directory with all its data, and gives up its place. A second call does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	if err := s.Kill(); err != nil {
		return fmt.Errorf("close %s: %w", s.opts.Name, err) // its directory is still in use
	}
	s.wg.Wait()
	s.disk.Lock()
	defer s.disk.Unlock()
	if err := errors.Join(os.RemoveAll(s.DataDir()), os.RemoveAll(s.dir), s.lock.Close()); err != nil {
		return fmt.Errorf("close %s: %w", s.opts.Name, err)
	}
	return nil
}

// tail returns the last n lines of a text.
func tail(text []byte, n int) string {
	end := len(text)
	for end > 0 && text[end-1] == '\n' {
		end--
	}
	start := end
	for ; start > 0; start-- {
		if text[start-1] == '\n' {
			if n--; n <= 0 {
				break
			}
		}
	}
	return string(text[start:end])
}

// withDeadline gives a context without a deadline the lab's generous one.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, startTimeout)
}
