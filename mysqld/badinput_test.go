package mysqld_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/baton-db/baton/health"
	"github.com/baton-db/baton/mysqld"
)

const aUUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"

// replica is what a MySQL replica answers: to the question for its state by the name asked for, and of its replication.
func replica() (state, status map[string]any) {
	return map[string]any{"read_only": "1", "server_id": "2", "uuid": aUUID, "offline": "0", "executed": aUUID + ":1-5",
			"rpl_semi_sync_source_enabled": "0", "rpl_semi_sync_replica_enabled": "1"},
		map[string]any{"Source_Host": "10.0.0.1", "Source_Port": "3306", "Source_User": "repl", "Replica_IO_Running": "Yes", "Replica_SQL_Running": "Yes",
			"Retrieved_Gtid_Set": aUUID + ":1-6", "Auto_Position": "1", "Seconds_Behind_Source": "0", "Channel_Name": ""}
}

func tableOf(row map[string]any) *table {
	names := slices.Sorted(maps.Keys(row))
	values := make([]any, len(names))
	for i, name := range names {
		values[i] = row[name]
	}
	return &table{columns: names, rows: [][]any{values}}
}

// answers is a whole replica, as far as it is asked.
func answers(state, status map[string]any) func(string) *table {
	alias := regexp.MustCompile(`AS (\w+)`)
	return func(query string) *table {
		switch {
		case strings.HasPrefix(query, "SHOW GLOBAL VARIABLES"):
			return &table{columns: []string{"Variable_name", "Value"}, rows: [][]any{{"version", "8.4.0"}, {"performance_schema", "OFF"},
				{"rpl_semi_sync_source_enabled", "OFF"}, {"rpl_semi_sync_replica_enabled", "ON"}}}
		case strings.HasPrefix(query, "SELECT @@GLOBAL"):
			out := &table{rows: [][]any{nil}}
			for _, m := range alias.FindAllStringSubmatch(query, -1) {
				if v, ok := state[m[1]]; ok {
					out.columns, out.rows[0] = append(out.columns, m[1]), append(out.rows[0], v)
				}
			}
			return out
		case strings.HasPrefix(query, "SELECT VARIABLE_NAME"):
			return &table{columns: []string{"Variable_name", "Value"}, rows: [][]any{{"Rpl_semi_sync_replica_status", "ON"}}}
		case strings.HasPrefix(query, "SHOW REPLICA STATUS"):
			return tableOf(status)
		case strings.HasPrefix(query, "SELECT CONNECTION_ID"):
			return &table{columns: []string{"id"}, rows: [][]any{{"7"}}}
		case strings.HasPrefix(query, "SHOW PROCESSLIST"):
			return &table{columns: []string{"Id", "User", "Command"}}
		}
		return &table{raw: []byte("\x0c\x00\x00\x01\xff\x28\x04#42000no")}
	}
}

// sick are answers that no server should give. want is what has to be said of them; "": they are understood.
func sick() map[string]struct {
	change func(state, status map[string]any)
	raw    *table
	want   string
} {
	type bad = struct {
		change func(state, status map[string]any)
		raw    *table
		want   string
	}
	set := func(name string, v any) func(_, _ map[string]any) {
		return func(state, status map[string]any) {
			if _, ok := state[name]; ok {
				state[name] = v
			} else {
				status[name] = v
			}
		}
	}
	var megabyte strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&megabyte, ",%08x-71ca-11e1-9e33-c80aa9429562:1-%d", i+1, i+10)
	}
	return map[string]bad{
		"a malformed set":             {set("executed", aUUID+":5-1"), nil, "GTID"},
		"half a set":                  {set("executed", aUUID[:20]), nil, "GTID"},
		"a set of the other family":   {set("executed", "0-1-14"), nil, "GTID"},
		"a malformed received set":    {set("Retrieved_Gtid_Set", "what?"), nil, "GTID"},
		"a megabyte of GTIDs":         {set("executed", megabyte.String()[1:]), nil, ""},
		"no set":                      {set("executed", nil), nil, ""},
		"no server id":                {set("server_id", nil), nil, "server id"},
		"a server id that is a word":  {set("server_id", "two"), nil, "server id"},
		"a server id too large":       {set("server_id", "99999999999"), nil, "server id"},
		"a lag that is unknown":       {set("Seconds_Behind_Source", nil), nil, ""},
		"a lag that is negative":      {set("Seconds_Behind_Source", "-4"), nil, ""},
		"a port that is a word":       {set("Source_Port", "mysql"), nil, "port"},
		"columns that are missing":    {func(_, status map[string]any) { clear(status); status["Channel_Name"] = "" }, nil, "Replica_IO_Running"},
		"columns that nobody knows":   {func(_, status map[string]any) { status["Colour"] = "blue" }, nil, ""},
		"an unknown receiver's state": {set("Replica_IO_Running", "Perhaps"), nil, ""},
		"no row":                      {nil, &table{columns: []string{"read_only"}}, "rows"},
		"two rows":                    {nil, &table{columns: []string{"read_only"}, rows: [][]any{{"1"}, {"1"}}}, "rows"},
		"no answer":                   {nil, &table{hang: true}, "deadline"},
		"a connection that ends":      {nil, nil, "connection"},
		"garbage":                     {nil, &table{raw: []byte("GET / HTTP/1.1\r\nHost: db\r\n\r\nGET / HTTP/1.1\r\n\r\n")}, ""},
		"packets out of order":        {nil, &table{raw: []byte("\x01\x00\x00\x09\x01")}, ""},
		"a length without an end":     {nil, &table{raw: []byte("\xff\xff\xff\x01\x01")}, ""},
		"an error of its own":         {nil, &table{raw: []byte("\x0b\x00\x00\x01\xff\x50\x04#HY000?")}, ""},
		"the wish to read a file":     {nil, &table{raw: []byte("\x0c\x00\x00\x01\xfb/etc/passwd")}, ""},
	}
}

// Whatever a server answers, the checker goes on, keeps what it knew of the same process, and believes the next good answer.
func TestNoAnswerOfAServerStopsTheChecker(t *testing.T) {
	for name, c := range sick() {
		t.Run(name, func(t *testing.T) {
			well, ill := answers(replica()), answers(replica())
			if c.change != nil {
				state, status := replica()
				c.change(state, status)
				ill = answers(state, status)
			} else {
				usual := ill
				ill = func(query string) *table {
					if strings.HasPrefix(query, "SELECT @@GLOBAL") {
						return c.raw
					}
					return usual(query)
				}
			}
			var sickNow atomic.Bool
			f := &fake{answer: func(query string) *table {
				if sickNow.Load() {
					return ill(query)
				}
				return well(query)
			}}
			f.serve(t)
			server := fakeServer(t, f)
			checker := health.NewChecker(health.DefaultCheckerConfig(), server)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = checker.Run(ctx) })
			t.Cleanup(func() { cancel(); wg.Wait() })
			until(t, "it is well", func() bool { o := checker.Latest(); return o.Good && o.Err == nil })

			sickNow.Store(true)
			_, err := server.Status(t.Context())
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want something of %q", err, c.want)
			case c.change != nil && c.want == "" && err != nil:
				t.Errorf("not understood: %v", err)
			case c.change == nil && err == nil:
				t.Error("it was believed")
			}
			o := checker.Refresh(t.Context())
			if !o.Good || o.Process != health.ProcessRunning || o.Status.ServerID != 2 {
				t.Errorf("it forgot what it knew: %+v", o)
			}

			sickNow.Store(false)
			until(t, "it is well again", func() bool { return checker.Latest().Err == nil })
		})
	}
}

// Whatever is at the socket, a look ends by its timeout.
func TestNothingAtTheSocketHoldsALookUp(t *testing.T) {
	for name, greet := range map[string]string{
		"silence": "", "half a greeting": "\x4a\x00\x00\x00\x0a8.4", "a shell": "SSH-2.0-OpenSSH_9.2p1\r\n", "an old protocol": "\x07\x00\x00\x00\x093.20.0",
		"too many connections": "\x17\x00\x00\x00\xff\x10\x04Too many connections", "a very long packet": "\xff\xff\xff\x00\x0a", "nothing in a packet": "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{greet: []byte(greet)}
			f.serve(t)
			if _, err := fakeServer(t, f).Status(t.Context()); err == nil {
				t.Error("it has a status")
			}
		})
	}
}

// A server that is another version after its restart is asked in that version's words.
func TestAServerThatWasUpgradedInPlaceIsLookedAtAnew(t *testing.T) {
	var upgraded atomic.Bool
	usual := answers(replica())
	f := &fake{}
	f.answer = func(query string) *table {
		out := usual(query)
		if strings.HasPrefix(query, "SHOW GLOBAL VARIABLES") && upgraded.Load() {
			out.rows[0][1] = "10.11.19-MariaDB"
		}
		if strings.HasPrefix(query, "SHOW ALL REPLICAS STATUS") {
			return &table{columns: []string{"Connection_name"}}
		}
		if strings.Contains(query, "gtid_binlog_state") {
			return &table{columns: []string{"server_id", "executed", "applied"}, rows: [][]any{{"2", "0-2-7", "0-2-7"}}}
		}
		if strings.HasPrefix(query, "SHOW GLOBAL STATUS") {
			return &table{columns: []string{"Variable_name", "Value"}}
		}
		if upgraded.Load() && strings.Contains(query, "gtid_executed") {
			return nil // the connection was to the process that has ended
		}
		return out
	}
	f.serve(t)
	server := fakeServer(t, f)
	if st, err := server.Status(t.Context()); err != nil || st.Flavor != mysqld.MySQL || st.Version != "8.4.0" {
		t.Fatalf("%+v, %v", st, err)
	}
	upgraded.Store(true)
	until(t, "it is seen to be another", func() bool {
		st, err := server.Status(t.Context())
		return err == nil && st.Flavor == mysqld.MariaDB && st.Executed.String() == "0-2-7"
	})
}

func fakeServer(t *testing.T, f *fake) *mysqld.Server {
	t.Helper()
	s, err := mysqld.Open(mysqld.Config{Socket: f.socket, User: "baton", Password: "baton", ProbeTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
