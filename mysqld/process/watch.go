package process

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/baton-db/baton/internal/beat"
)

// The pauses between two looks at a process. The end of it, or of one of its threads, is reported without one. Kernels
// before 6.9 do not tell of threads. One that was stopped may go on at any moment, and then it is no longer a frozen one.
const (
	watchEvery        = 125 * time.Millisecond
	watchEveryBlindly = 25 * time.Millisecond
	watchEveryStopped = 25 * time.Millisecond
)

// Watch yields the state of the process, first the present one and then every change, until it has exited or ctx ends.
// It blocks in between, and costs next to nothing while nothing happens.
//
// A process that was killed gives back its memory before its end is reported, which takes a database server a tenth of a
// second and more. Its threads are gone before that, all but the last: their end is the earliest event that there is.
func (p Run) Watch(ctx context.Context) iter.Seq[State] {
	if p.model != nil {
		return p.model.Watch(ctx)
	}
	return func(yield func(State) bool) {
		w, err := p.watch()
		if err != nil {
			yield(Exited)
			return
		}
		defer w.close()
		defer context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(time.Unix(1, 0)) })()
		var last State
		for ctx.Err() == nil {
			now := w.look()
			if now != last && !yield(now) || now == Exited {
				return
			}
			last = now
			if now == Stopped {
				w.await(ctx, watchEveryStopped)
			} else {
				w.await(ctx, w.every)
			}
		}
	}
}

// watched is a process held open.
type watched struct {
	Run
	// events is an epoll of the process and some of its threads, known by their numbers. Waiting for it holds no thread of
	// this program.
	events  *os.File
	stat    *os.File // how its main thread is
	exit    int      // descriptor of the process
	threads map[int]int
	blind   bool // this kernel does not tell of threads
	every   time.Duration
	text    []byte // read into, again and again
}

// threadsWatched is how many threads are watched: the last one to end does so late, and one of some others may be a
// connection's, which ends any time.
const threadsWatched = 4

func (p Run) watch() (*watched, error) {
	w := &watched{Run: p, exit: -1, threads: map[int]int{}, every: watchEvery, text: make([]byte, 4096)}
	if err := w.begin(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watched) begin() error {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(epoll, true); err != nil {
		return errors.Join(err, unix.Close(epoll))
	}
	w.events = os.NewFile(uintptr(epoll), "process "+strconv.Itoa(w.pid))
	if w.exit, err = w.Run.open(); err != nil {
		w.exit = -1
		return err
	}
	if err := w.add(w.exit); err != nil {
		return err
	}
	if w.stat, err = os.Open(statFile(w.pid)); err != nil {
		return err
	}
	return nil
}

func (w *watched) add(fd int) error {
	var failed error
	err := w.control(func(epoll int) {
		failed = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	})
	return errors.Join(err, failed)
}

func (w *watched) control(f func(epoll int)) error {
	raw, err := w.events.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}

// pickThreads watches the oldest threads: a server starts those first that it keeps to its end.
func (w *watched) pickThreads() {
	if len(w.threads) == threadsWatched || w.blind {
		return
	}
	names, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(w.pid), "task"))
	if err != nil {
		return // it is gone, which the next look says
	}
	var all []int
	for _, n := range names {
		if tid, err := strconv.Atoi(n.Name()); err == nil {
			all = append(all, tid)
		}
	}
	slices.Sort(all)
	for _, tid := range all {
		if len(w.threads) == threadsWatched || w.blind {
			return
		}
		if _, known := w.threads[tid]; !known {
			w.pickThread(tid)
		}
	}
}

func (w *watched) pickThread(tid int) {
	fd, err := unix.PidfdOpen(tid, unix.PIDFD_THREAD)
	if err != nil {
		if w.blind = !errors.Is(err, unix.ESRCH); w.blind {
			w.every = watchEveryBlindly
		}
		return
	}
	if err := w.add(fd); err != nil {
		_ = unix.Close(fd) // nothing was written
		return
	}
	w.threads[tid] = fd
}

// close closes what is open; nothing was written.
func (w *watched) close() {
	for _, fd := range w.threads {
		_ = unix.Close(fd)
	}
	if w.exit >= 0 {
		_ = unix.Close(w.exit)
	}
	for _, f := range []*os.File{w.events, w.stat} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// await returns when something happened, when it is time to look again, or when ctx has ended.
func (w *watched) await(ctx context.Context, every time.Duration) {
	raw, err := w.events.SyscallConn()
	if err == nil {
		err = w.events.SetReadDeadline(time.Now().Add(beat.Until(every)))
	}
	if err != nil || ctx.Err() != nil {
		return
	}
	var ended []int
	_ = raw.Read(func(epoll uintptr) bool { // it fails by the deadline
		var events [threadsWatched + 1]unix.EpollEvent
		n, err := unix.EpollWait(int(epoll), events[:], 0)
		for _, e := range events[:max(n, 0)] {
			ended = append(ended, int(e.Fd))
		}
		return err != nil || n > 0
	})
	for tid, fd := range w.threads {
		if slices.Contains(ended, fd) {
			_ = unix.Close(fd)
			delete(w.threads, tid)
		}
	}
}

// look sees how the process is now. What cannot be read has gone in the meantime.
func (w *watched) look() State {
	poll := []unix.PollFd{{Fd: int32(w.exit), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); err == nil && n > 0 {
		return Exited // also when its parent has not asked for it yet
	}
	st, err := w.readStat()
	switch {
	case err != nil || st.started != w.started:
		return Exited
	case st.exiting || st.killed || strings.ContainsRune("ZXx", st.state):
		return Dying
	case strings.ContainsRune("Tt", st.state):
		return Stopped
	}
	w.pickThreads() // not of one that ends: those that have ended would be reported again and again
	return Running
}

// readStat is one read.
func (w *watched) readStat() (st stat, err error) {
	raw, err := w.stat.SyscallConn()
	if err != nil {
		return st, err
	}
	var failed error
	n := 0
	err = raw.Control(func(fd uintptr) { n, failed = unix.Pread(int(fd), w.text, 0) })
	if err = errors.Join(err, failed); err != nil {
		return st, err
	}
	if n == 0 {
		return st, io.ErrUnexpectedEOF
	}
	return parseStat(w.text[:n])
}
