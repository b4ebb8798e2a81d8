package witness

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/baton-db/baton/demo"
)

// listLength is how many elements a list gets before the next one is begun: every append writes the whole list.
const listLength = 40

// Append is one acknowledged transaction that appended an element to a list and read the list.
type Append struct {
	Key, Element int64
	Read         []int64 // with Element at its end
}

// Lists appends to lists from several clients at a time, through the primary's name.
type Lists struct {
	Load *demo.Load // finds the primary

	mu   sync.Mutex
	next int64
	done []Append
}

// ListTable makes the table of the lists.
const ListTable = `CREATE TABLE IF NOT EXISTS app.lists (k BIGINT PRIMARY KEY, v TEXT NOT NULL)`

// Run appends with some clients until ctx ends.
func (l *Lists) Run(ctx context.Context) {
	const clients = 3
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for ctx.Err() == nil {
				l.connected(ctx)
				rest(ctx, 20*time.Millisecond)
			}
		})
	}
	all.Wait()
}

// connected appends on one connection until that fails.
func (l *Lists) connected(ctx context.Context) {
	addr, err := l.Load.Lookup(ctx)
	if err != nil {
		return
	}
	db, err := Open("tcp", net.JoinHostPort(addr, strconv.Itoa(int(l.Load.Port))), "app", 3*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }() // it has failed, or the run is over
	for ctx.Err() == nil {
		if l.append(ctx, db) != nil {
			return
		}
		rest(ctx, 100*time.Millisecond)
	}
}

func (l *Lists) append(ctx context.Context, db *sql.DB) error {
	l.mu.Lock()
	l.next++
	a := Append{Key: l.next / listLength, Element: l.next}
	l.mu.Unlock()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing to roll back after a commit
	element := strconv.FormatInt(a.Element, 10)
	if _, err := tx.ExecContext(ctx, "INSERT INTO app.lists VALUES (?, ?) ON DUPLICATE KEY UPDATE v = CONCAT(v, ',', ?)", a.Key, element, element); err != nil {
		return err
	}
	var text string
	if err := tx.QueryRowContext(ctx, "SELECT v FROM app.lists WHERE k = ?", a.Key).Scan(&text); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if a.Read, err = parseList(text); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, a)
	return nil
}

func parseList(text string) ([]int64, error) {
	var all []int64
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list %q: %w", text, err)
		}
		all = append(all, n)
	}
	return all, nil
}

// Acknowledged is what was appended so far.
func (l *Lists) Acknowledged() []Append {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.done)
}

// FinalLists reads all lists of one server.
func FinalLists(ctx context.Context, db *sql.DB) (map[int64][]int64, error) {
	rows, err := db.QueryContext(ctx, "SELECT k, v FROM app.lists")
	if err != nil {
		return nil, fmt.Errorf("read the lists: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err is checked
	all := map[int64][]int64{}
	for rows.Next() {
		var key int64
		var text string
		if err := rows.Scan(&key, &text); err != nil {
			return nil, fmt.Errorf("read the lists: %w", err)
		}
		if all[key], err = parseList(text); err != nil {
			return nil, err
		}
	}
	return all, rows.Err()
}

// CheckLists compares what was acknowledged with the lists at the end. Whoever appended saw the list as it was: it must be
// how the final list begins, so nothing that was read or acknowledged was lost, moved or repeated.
func CheckLists(done []Append, final map[int64][]int64) []string {
	var wrong []string
	for _, a := range done {
		list := final[a.Key]
		switch {
		case len(a.Read) == 0 || a.Read[len(a.Read)-1] != a.Element:
			wrong = append(wrong, fmt.Sprintf("list %d: %d was appended and not seen at the end of %v", a.Key, a.Element, a.Read))
		case len(list) < len(a.Read) || !slices.Equal(list[:len(a.Read)], a.Read):
			wrong = append(wrong, fmt.Sprintf("list %d: %d was acknowledged on top of %v, the list at the end is %v", a.Key, a.Element, a.Read, list))
		}
	}
	for key, list := range final {
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(sorted)) != len(list) {
			wrong = append(wrong, fmt.Sprintf("list %d has an element twice: %v", key, list))
		}
	}
	return wrong
}
