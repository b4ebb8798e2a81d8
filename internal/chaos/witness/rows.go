package witness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SameEverywhere waits until all servers hold the same rows; the last ones may still be on their way.
func SameEverywhere(ctx context.Context, sockets []string) error {
	const sums = `SELECT COUNT(*), COALESCE(SUM(id % 1000003), 0), COALESCE(BIT_XOR(CRC32(CONCAT(id, '/', epoch, '/', server))), 0) FROM app.ledger`
	const listSums = `SELECT COUNT(*), COALESCE(BIT_XOR(CRC32(CONCAT(k, '/', v))), 0) FROM app.lists`
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var last []string // the last comparison that was complete
	for {
		found := make([]string, len(sockets))
		var err error
		for i, socket := range sockets {
			var one, two []int64
			if one, err = Numbers(ctx, socket, sums); err == nil {
				two, err = Numbers(ctx, socket, listSums)
			}
			if err != nil {
				break
			}
			found[i] = fmt.Sprint(one, two)
		}
		if err == nil && len(slices.Compact(slices.Clone(found))) == 1 {
			return nil
		}
		if err == nil {
			last = found
		}
		if ctx.Err() != nil {
			return fmt.Errorf("at the end the servers hold different rows (count, sum, checksum; lists): %v (%v)", last, err)
		}
		rest(ctx, 50*time.Millisecond)
	}
}

// Numbers asks the server at a unix socket for one row of numbers.
func Numbers(ctx context.Context, socket, query string) ([]int64, error) {
	db, err := Open("unix", socket, "admin", 20*time.Second)
	if err != nil {
		return []int64{-1}, err
	}
	defer func() { _ = db.Close() }() // read only
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return []int64{-1}, fmt.Errorf("ask %s: %w", socket, err)
	}
	defer func() { _ = rows.Close() }() // Err is checked
	columns, err := rows.Columns()
	if err != nil {
		return []int64{-1}, err
	}
	values, into := make([]int64, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return []int64{-1}, err
		}
	}
	return values, rows.Err()
}

// Sessions says what every session of the server at a unix socket is doing, for whoever looks at a failure.
func Sessions(ctx context.Context, socket string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	db, err := Open("unix", socket, "admin", 5*time.Second)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = db.Close() }() // read only
	rows, err := db.QueryContext(ctx, "SELECT CONCAT_WS('  ', id, user, host, command, time, state, info) FROM information_schema.processlist ORDER BY time DESC")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }() // what can be read is enough
	var all strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return all.String() + err.Error()
		}
		all.WriteString(line + "\n")
	}
	return all.String()
}
