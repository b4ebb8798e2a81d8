package demo

import (
	"slices"
	"sync"
	"time"
)

// Ack is one write that the database acknowledged to a writer.
type Ack struct {
	ID    int64
	Epoch uint64 // that the row carries: the reign in which it was written
	// Sent is when the COMMIT was sent and At when its answer had come, by the writer's clock.
	Sent, At time.Time
}

// Ledger is everything that was acknowledged. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	acks    []Ack // in the order in which they were recorded
	unknown int
	newest  uint64
	changed chan struct{}
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{changed: make(chan struct{})} }

// Record adds what a writer was told.
func (l *Ledger) Record(a Ack) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, a)
	if a.Epoch > l.newest {
		l.newest = a.Epoch
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

func (l *Ledger) failed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown++
}

// Newest is the highest epoch in which a write was acknowledged, and a channel that is closed when that grows.
func (l *Ledger) Newest() (uint64, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest, l.changed
}

// Acknowledged is how many writes were acknowledged.
func (l *Ledger) Acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks)
}

// Acks returns what was acknowledged after the first n, in the order in which it was recorded.
func (l *Ledger) Acks(n int) []Ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.acks[min(n, len(l.acks)):])
}

// Unknown is how many writes ended with an error: they may have happened or not, nobody was promised anything.
func (l *Ledger) Unknown() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unknown
}

// Gap returns the last acknowledgement of a reign before epoch and the first one of epoch or later.
func (l *Ledger) Gap(epoch uint64) (last, first time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.acks {
		if a.Epoch < epoch && a.At.After(last) {
			last = a.At
		}
		if a.Epoch >= epoch && (first.IsZero() || a.At.Before(first)) {
			first = a.At
		}
	}
	return last, first
}

// Verdict is what a comparison of the ledger with the database found.
type Verdict struct {
	Acknowledged int     `json:"acknowledged"`
	Unknown      int     `json:"unknown"`
	Lost         []int64 `json:"lost"`
	// Double are writes sent after a later reign had acknowledged one, and still acknowledged in an older: two writers at
	// once. So are ids that were acknowledged twice.
	Double []int64 `json:"double_acknowledged"`
}

// Verify compares the ledger with the rows (id to epoch) of the last primary. A row of another epoch than the writer was
// told counts as lost: what was acknowledged is not what is there.
func (l *Ledger) Verify(rows map[int64]uint64) Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := Verdict{Acknowledged: len(l.acks), Unknown: l.unknown, Lost: []int64{}, Double: []int64{}} // a proof is said, not left out
	byTime := slices.SortedFunc(slices.Values(l.acks), func(a, b Ack) int { return a.At.Compare(b.At) })
	reigns := make([]uint64, len(byTime)) // the highest epoch acknowledged until then
	for i, a := range byTime {
		reigns[i] = a.Epoch
		if i > 0 {
			reigns[i] = max(a.Epoch, reigns[i-1])
		}
	}
	seen := map[int64]bool{}
	for _, a := range byTime {
		before, _ := slices.BinarySearchFunc(byTime, a.Sent, func(b Ack, sent time.Time) int { return b.At.Compare(sent) })
		epoch, ok := rows[a.ID]
		switch {
		case !ok || epoch != a.Epoch:
			v.Lost = append(v.Lost, a.ID)
		case seen[a.ID] || (before > 0 && reigns[before-1] > a.Epoch):
			v.Double = append(v.Double, a.ID)
		}
		seen[a.ID] = true
	}
	return v
}
