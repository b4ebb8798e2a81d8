package process

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watchSelf watches this program, and looks again only when something happens.
func watchSelf(t *testing.T) *watched {
	t.Helper()
	p, err := Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.watch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.every = time.Hour
	return w
}

func TestTheEndOfAThreadIsAnEvent(t *testing.T) {
	w := watchSelf(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	tid, end := make(chan int), make(chan struct{})
	thread := func() int {
		wg.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
			tid <- unix.Gettid()
			<-end
		})
		return <-tid
	}
	id := thread()
	if id == os.Getpid() { // the main thread is kept to the end
		id = thread()
	}
	w.pickThread(id)
	if w.blind {
		close(end)
		t.Skip("this kernel does not tell of threads")
	}
	if _, ok := w.threads[id]; !ok {
		t.Error("the thread is not watched")
	}
	close(end)
	w.await(t.Context(), watchEvery)
	if _, ok := w.threads[id]; ok {
		t.Error("a thread that has ended is watched")
	}
	if state := w.look(); state != Running {
		t.Errorf("with one thread less the process is %s", state)
	}
}

func TestAKernelThatDoesNotTellOfThreadsIsAskedOften(t *testing.T) {
	w := watchSelf(t)
	w.pickThread(-1) // no such number
	if !w.blind || w.every != watchEveryBlindly {
		t.Errorf("blind %v, looks every %v", w.blind, w.every)
	}
	if state := w.look(); state != Running {
		t.Errorf("looked at blindly, the process is %s", state)
	}
	if len(w.threads) != 0 {
		t.Errorf("threads %v are watched", w.threads)
	}
	w.await(t.Context(), watchEvery) // ends by itself
}
