package gtid_test

import (
	"database/sql"
	"testing"

	"github.com/go-sql-driver/mysql"
	"pgregory.net/rapid"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
	"github.com/baton-db/baton/mysqld/gtid"
)

// admin is a session of one who may do all.
func admin(t *testing.T, s *lab.Server) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.Passwd = "unix", s.Socket(), "admin", "admin"
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestGTIDAlgebraAgreesWithTheServer(t *testing.T) {
	bin := labtest.Require(t, lab.MySQL)
	server := admin(t, labtest.Start(t, bin, 1)[0])
	ask := func(t *rapid.T, query string, args ...any) (out string) {
		if err := server.QueryRowContext(t.Context(), query, args...).Scan(&out); err != nil {
			t.Fatal(query, args, err)
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := gtidText(gtid.MySQL).Draw(t, "a"), gtidText(gtid.MySQL).Draw(t, "b")
		x, y := parse(t, gtid.MySQL, a), parse(t, gtid.MySQL, b)
		if got := ask(t, "SELECT GTID_SUBSET(?, ?)", a, b); (got == "1") != y.Contains(x) {
			t.Errorf("%q in %q: the server says %s", a, b, got)
		}
		theirs := parse(t, gtid.MySQL, ask(t, "SELECT GTID_SUBTRACT(?, ?)", a, b))
		if ours := x.Minus(y); !ours.Equal(theirs) || ours.String() != theirs.String() {
			t.Errorf("%q without %q is %q, the server says %q", a, b, ours, theirs)
		}
		// What is read back from us must be read by the server as the same.
		if got := ask(t, "SELECT GTID_SUBSET(?, ?) AND GTID_SUBSET(?, ?)", a, x.String(), x.String(), a); got != "1" {
			t.Errorf("%q was rewritten to %q", a, x)
		}
	})
}

func TestGTIDParserIsNoLaxerThanTheServer(t *testing.T) {
	bin := labtest.Require(t, lab.MySQL)
	server := admin(t, labtest.Start(t, bin, 1)[0])
	for _, text := range []string{
		uuidA, uuidA + ":0", uuidA + ":5-4", uuidA + ":tag", uuidA + ":1:tag:2", uuidA + ":a:b:1", uuidA + ":9223372036854775806", uuidA + ":9223372036854775807",
		uuidA + ":1-3,\n" + uuidB + ":4:_x:1-2", uuidA + ":tag_3:1:2-9:tag_4:7",
	} {
		_, ours := gtid.Parse(gtid.MySQL, text)
		var one int
		theirs := server.QueryRowContext(t.Context(), "SELECT GTID_SUBSET(?, ?)", text, text).Scan(&one)
		if ours == nil && theirs != nil {
			t.Errorf("%q: read here, refused by the server: %v", text, theirs)
		}
	}
}
