package demo

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// moment is a time in milliseconds on an arbitrary clock.
func moment(ms int) time.Time { return time.Unix(1000, 0).Add(time.Duration(ms) * time.Millisecond) }

// twoReigns is a hand-over from epoch 1 to epoch 2 as writers see it: 1 and 2 were acknowledged by the first primary, 2 late,
// 3 and 4 by the second.
func twoReigns() *Ledger {
	l := NewLedger()
	l.Record(Ack{ID: 1, Epoch: 1, Sent: moment(0), At: moment(1)})
	l.Record(Ack{ID: 3, Epoch: 2, Sent: moment(50), At: moment(60)})
	l.Record(Ack{ID: 2, Epoch: 1, Sent: moment(5), At: moment(70)}) // its answer took long to arrive
	l.Record(Ack{ID: 4, Epoch: 2, Sent: moment(71), At: moment(72)})
	l.failed()
	return l
}

func TestTheLedgerFindsWhatIsLostOrAcknowledgedTwice(t *testing.T) {
	good := map[int64]uint64{1: 1, 2: 1, 3: 2, 4: 2}
	tests := []struct {
		name string
		more []Ack                       // acknowledged as well
		rows func(rows map[int64]uint64) // what became of the good rows
		want Verdict
	}{
		{name: "nothing lost", rows: func(map[int64]uint64) {}, want: Verdict{Acknowledged: 4, Unknown: 1}},
		{name: "rows nobody was promised", rows: func(r map[int64]uint64) { r[99] = 1 }, want: Verdict{Acknowledged: 4, Unknown: 1}},
		{name: "a row is gone", rows: func(r map[int64]uint64) { delete(r, 2) }, want: Verdict{Acknowledged: 4, Unknown: 1, Lost: []int64{2}}},
		{name: "all rows are gone", rows: func(r map[int64]uint64) { clear(r) }, want: Verdict{Acknowledged: 4, Unknown: 1, Lost: []int64{1, 3, 2, 4}}},
		{name: "a row has the epoch of another reign", rows: func(r map[int64]uint64) { r[3] = 1 }, want: Verdict{Acknowledged: 4, Unknown: 1, Lost: []int64{3}}},
		{
			name: "the first primary goes on after the second began", more: []Ack{{ID: 5, Epoch: 1, Sent: moment(61), At: moment(62)}},
			rows: func(r map[int64]uint64) { r[5] = 1 }, want: Verdict{Acknowledged: 5, Unknown: 1, Double: []int64{5}},
		},
		{
			name: "an id is acknowledged twice", more: []Ack{{ID: 4, Epoch: 2, Sent: moment(80), At: moment(81)}},
			rows: func(map[int64]uint64) {}, want: Verdict{Acknowledged: 5, Unknown: 1, Double: []int64{4}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, rows := twoReigns(), maps.Clone(good)
			for _, a := range tt.more {
				l.Record(a)
			}
			tt.rows(rows)
			if diff := cmp.Diff(tt.want, l.Verify(rows), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheGapIsBetweenTheLastOldAndTheFirstNewAcknowledgement(t *testing.T) {
	last, first := twoReigns().Gap(2)
	if !last.Equal(moment(70)) || !first.Equal(moment(60)) {
		t.Errorf("gap from %s to %s", last, first)
	}
}

func TestTheLedgerTellsOfANewReign(t *testing.T) {
	l := NewLedger()
	_, grown := l.Newest()
	l.Record(Ack{ID: 1, Epoch: 7})
	select {
	case <-grown:
	default:
		t.Error("nobody was told of epoch 7")
	}
	if newest, _ := l.Newest(); newest != 7 {
		t.Errorf("newest is %d", newest)
	}
}

func TestAProgramReadsThatNothingWasLost(t *testing.T) {
	b, err := json.Marshal(NewLedger().Verify(nil))
	if want := `{"acknowledged":0,"unknown":0,"lost":[],"double_acknowledged":[]}`; err != nil || string(b) != want {
		t.Errorf("%s (%v), want %s", b, err, want)
	}
}
