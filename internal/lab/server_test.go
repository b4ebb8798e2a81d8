package lab_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestKilledServerStartsAgainWithItsRows(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.Start(t, bin, 1)[0]
		open(t, s)
		sql(t, s, "CREATE TABLE app.t (id INT PRIMARY KEY) ENGINE=InnoDB; INSERT INTO app.t VALUES (1),(2)")
		exited, pid, socket := s.Exited(), s.Pid(), s.Socket()
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-exited:
		default:
			t.Error("Exited is open after Kill returned")
		}
		if !gone(pid) || s.Pid() != 0 {
			t.Errorf("after Kill: pid %d gone=%v, Pid()=%d", pid, gone(pid), s.Pid())
		}
		began := time.Now()
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("restart after kill -9: %v", time.Since(began))
		if got := sql(t, s, "SELECT COUNT(*) FROM app.t"); got != "2" {
			t.Errorf("rows after kill -9 = %s, want 2", got)
		}
		if got := sql(t, s, "SELECT @@global.read_only"); got != "1" {
			t.Error("not read only after a restart")
		}
		if s.Socket() != socket || s.Pid() == pid {
			t.Errorf("socket %s then %s, pid %d then %d", socket, s.Socket(), pid, s.Pid())
		}
	})
}

func TestFrozenServerAcceptsConnectionsButSaysNothing(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.Start(t, bin, 1)[0]
		for range 2 { // a second time too: the first freeze must leave no trace
			if err := s.Freeze(); err != nil {
				t.Fatal(err)
			}
			stat, err := os.ReadFile("/proc/" + itoa(s.Pid()) + "/stat")
			if err != nil || !strings.Contains(string(stat), ") T ") {
				t.Fatalf("frozen process has stat %q, %v, want state T", stat, err)
			}
			conn, err := net.DialTimeout("tcp", s.Addr().String(), 10*time.Second)
			if err != nil {
				t.Fatalf("connect to a frozen server: %v", err)
			}
			if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read from a frozen server: %d bytes, %v, want a timeout", n, err)
			}
			conn.Close()
			if err := s.Thaw(); err != nil {
				t.Fatal(err)
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Errorf("kill a frozen server: %v", err)
		}
	})
}

func TestSupervisedServerComesBackUnlessTheLabEndedIt(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.StartEach(t, bin, 1, func(_ int, o *lab.Options) { o.Supervise = time.Millisecond })[0]
		before := s.Pid()
		if err := s.Crash(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s.Pid() == before {
			t.Error("same pid after a crash")
		}
		// Killed by someone who knows only the pid.
		exited := s.Exited()
		if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-exited
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err == nil || s.Pid() != 0 {
			t.Errorf("after Kill: Ready = %v, pid %d, want an error and none", err, s.Pid())
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err == nil {
			t.Error("a stopped server became ready")
		}
	})
}

func TestStartTakesOverFromAPendingRestart(t *testing.T) {
	bin := labtest.Require(t, lab.MariaDB)
	s := labtest.StartEach(t, bin, 1, func(_ int, o *lab.Options) { o.Supervise = time.Hour })[0]
	if err := s.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("a running server was started a second time")
	}
	if err := s.Crash(); err != nil { // Close must not wait out the hour
		t.Fatal(err)
	}
}

func TestUnsupervisedServerStaysDeadAndCanBeStarted(t *testing.T) {
	bin := labtest.Require(t, lab.MariaDB)
	s := labtest.Start(t, bin, 1)[0]
	exited := s.Exited()
	sql(t, s, "SHUTDOWN")
	<-exited
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready after SHUTDOWN")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMySQLIsStartedAgainWhenItAsks(t *testing.T) {
	bin := labtest.Require(t, lab.MySQL)
	s := labtest.Start(t, bin, 1)[0]
	exited, before := s.Exited(), s.Pid()
	sql(t, s, "RESTART")
	<-exited
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Pid() == before {
		t.Error("same pid after RESTART")
	}
}

func TestWipedServerIsEmpty(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.Start(t, bin, 1)[0]
		open(t, s)
		sql(t, s, "CREATE TABLE app.t (id INT PRIMARY KEY)")
		if gtids(t, s) == "" {
			t.Fatal("a write left no GTID")
		}
		if err := s.Wipe(); err == nil {
			t.Fatal("a running server was wiped")
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := s.Wipe(); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := gtids(t, s); got != "" {
			t.Errorf("GTIDs after a wipe: %s", got)
		}
		if got := sql(t, s, "SHOW TABLES FROM app"); got != "" {
			t.Errorf("tables after a wipe: %s", got)
		}
	})
}

func TestACopyHoldsWhatTheOtherServerHeldAndHasANameOfItsOwn(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		both := labtest.Start(t, bin, 2)
		from, to := both[0], both[1]
		open(t, from)
		sql(t, from, "CREATE TABLE app.t (id INT PRIMARY KEY)")
		if err := to.CopyFrom(from); err == nil {
			t.Fatal("a running server was replaced")
		}
		if err := to.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := to.CopyFrom(from); err != nil {
			t.Fatal(err)
		}
		if err := to.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What MariaDB appends counts only what a server wrote by its own id.
		want, _, _ := strings.Cut(gtids(t, from), "\t")
		if got, _, _ := strings.Cut(gtids(t, to), "\t"); got != want || want == "" {
			t.Errorf("the copy holds %q, the other %q", got, want)
		}
		if got := sql(t, to, "SHOW TABLES FROM app"); got != "t" {
			t.Errorf("the copy has tables %q, want t", got)
		}
		if bin.Family == lab.MySQL && sql(t, from, "SELECT @@server_uuid") == sql(t, to, "SELECT @@server_uuid") {
			t.Error("two servers have one UUID")
		}
	})
}

func TestCloseLeavesNothing(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		var pids []int
		var dirs []string
		for _, s := range labtest.Start(t, bin, 2) {
			pids, dirs = append(pids, s.Pid()), append(dirs, filepath.Dir(s.DataDir()))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(t.Context()); err == nil {
				t.Error("a closed server started")
			}
		}
		for i := range pids {
			if !gone(pids[i]) {
				t.Errorf("process %d is still there", pids[i])
			}
			if _, err := os.Stat(dirs[i]); !os.IsNotExist(err) {
				t.Errorf("directory %s is still there: %v", dirs[i], err)
			}
		}
	})
}

func TestStartFailsFastWithTheServersOwnWords(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.New(t, bin, lab.Options{Name: "bad", IP: labtest.Subnet(t).IP(1), ServerID: 1, Extra: []string{"--no-such-flag=1"}})
		err := s.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
			t.Errorf("Start = %v, want an error with the log's complaint", err)
		}
		if s.Pid() != 0 {
			t.Error("a process is left")
		}
	})
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	bin := labtest.Require(t, lab.MySQL) // slow enough to be caught starting
	s := labtest.New(t, bin, lab.Options{Name: "late", IP: labtest.Subnet(t).IP(1), ServerID: 1})
	if err := s.Wipe(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want canceled", err)
	}
	if s.Pid() != 0 {
		t.Error("a process is left")
	}
}

func TestKillEndsAStartUnderWay(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.New(t, bin, lab.Options{Name: "short", IP: labtest.Subnet(t).IP(1), ServerID: 1})
		// Frozen before it can answer, so that only the kill can end the start.
		var start sync.WaitGroup
		var err error
		start.Go(func() { err = s.Start(t.Context()) })
		until(t, "a process", func() bool { return s.Pid() != 0 })
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		start.Wait()
		if err == nil {
			t.Skip("the server was ready before it was frozen")
		}
		if !strings.Contains(err.Error(), "signal: killed") || s.Pid() != 0 {
			t.Errorf("Start = %v, pid %d", err, s.Pid())
		}
	})
}

func TestExtraFlagsCanChangeBetweenStarts(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		s := labtest.StartEach(t, bin, 1, func(_ int, o *lab.Options) { o.Extra = []string{"--max-connections=33"} })[0]
		for _, want := range []string{"33", "44"} {
			if got := sql(t, s, "SELECT @@global.max_connections"); got != want {
				t.Errorf("max_connections = %s, want %s", got, want)
			}
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			s.SetExtra("--max-connections=44")
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	bin := labtest.Require(t, lab.MariaDB)
	ip := netip.MustParseAddr("127.9.9.9")
	for _, test := range []struct {
		name string
		opts lab.Options
	}{
		{"no name", lab.Options{IP: ip, ServerID: 1}},
		{"name with a slash", lab.Options{Name: "a/b", IP: ip, ServerID: 1}},
		{"no address", lab.Options{Name: "a", ServerID: 1}},
		{"no server id", lab.Options{Name: "a", IP: ip}},
		{"port without room for the reserved one", lab.Options{Name: "a", IP: ip, ServerID: 1, Port: 60000}},
		{"negative supervision", lab.Options{Name: "a", IP: ip, ServerID: 1, Supervise: -1}},
		{"a directory too deep for a socket", lab.Options{Name: "a", IP: ip, ServerID: 1, Dir: filepath.Join(t.TempDir(), strings.Repeat("d", 100))}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := lab.New(bin, test.opts)
			if err == nil {
				t.Error("accepted", s.Close())
			}
		})
	}
}

// childEnv makes this test binary start a server of that family, say its pid and directory, and wait to be killed.
const childEnv = "BATON_LAB_TEST_CHILD"

func TestMain(m *testing.M) {
	if family := os.Getenv(childEnv); family != "" {
		os.Exit(child(lab.Family(family)))
	}
	os.Exit(m.Run())
}

func child(family lab.Family) int {
	fail := func(err error) int {
		io.WriteString(os.Stdout, "error "+err.Error()+"\n")
		return 1
	}
	bin, err := lab.Find(family)
	if err != nil {
		return fail(err)
	}
	subnet, err := lab.ClaimSubnet()
	if err != nil {
		return fail(err)
	}
	s, err := lab.New(bin, lab.Options{Name: "orphan", IP: subnet.IP(1), ServerID: 1})
	if err != nil {
		return fail(err)
	}
	if err := s.Start(context.Background()); err != nil {
		return fail(err)
	}
	io.WriteString(os.Stdout, itoa(s.Pid())+" "+filepath.Dir(s.DataDir())+"\n")
	io.Copy(io.Discard, os.Stdin) // until killed, or until the test that started us is gone
	return 1
}

func TestServerDiesWithTheProcessThatStartedIt(t *testing.T) {
	eachFamily(t, func(t *testing.T, bin *lab.Binaries) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+string(bin.Family))
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		word, dir, ok := strings.Cut(strings.TrimSpace(line), " ")
		pid, convErr := strconv.Atoi(word)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		if err != nil || convErr != nil || !ok {
			t.Fatalf("child said %q, %v", line, err)
		}
		until(t, "the orphaned server gone", func() bool { return gone(pid) || zombie(pid) })
		if _, err := os.Stat(dir); err != nil {
			t.Fatalf("nobody could remove its directory yet: %v", err)
		}
		labtest.New(t, bin, lab.Options{Name: "next", IP: labtest.Subnet(t).IP(1), ServerID: 1})
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the directory of a dead process was not swept: %v", err)
		}
	})
}

// zombie says whether a process has ended but its new parent has not reaped it.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}
