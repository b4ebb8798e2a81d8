package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// An operator copies the accounts and tables from docs/database-accounts.md; they are those that every test runs with.
func TestDocumentedAccountsAreThoseOfTheLab(t *testing.T) {
	b, err := os.ReadFile("../../docs/database-accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(b), "\n## ")
	for family, heading := range map[Family]string{MySQL: "MySQL", MariaDB: "MariaDB"} {
		part := ""
		for _, p := range parts {
			if strings.HasPrefix(p, heading) {
				part = p
			}
		}
		password := regexp.MustCompile(` BY '[a-z]+';`)
		for line := range strings.Lines(initSQL(family)) {
			line = strings.TrimSpace(line)
			ours := strings.Contains(line, "'baton'@") || strings.Contains(line, "'repl'@") || strings.Contains(line, "TABLE baton.")
			line = password.ReplaceAllString(strings.Replace(line, "CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1), " BY '...';")
			for _, want := range narrower(line) {
				if ours && !strings.Contains(part, "\n"+want+"\n") && !(copies.MatchString(want) && strings.Contains(string(b), "\n"+want+"\n")) {
					t.Errorf("%s: not documented: %s", family, want)
				}
			}
		}
		for _, flag := range documentedFlags(family) {
			name, value, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
			want := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(name, "-", "_") + ` +=`)
			if !want.MatchString(part) {
				t.Errorf("%s: %s = %s is not documented", family, name, value)
			}
		}
	}
}

// copies are grants that only those need whose servers are to become copies of each other; they have a part of their own.
var copies = regexp.MustCompile(`CLONE_ADMIN|BACKUP_ADMIN|\.clone_`)

// narrower is what an operator grants where the lab grants more: before a server has begun a copy once, some tables are not
// there yet that it can grant when it needs to.
func narrower(line string) []string {
	if !strings.Contains(line, "performance_schema.*") {
		return []string{line}
	}
	line, _, _ = strings.Cut(line, " --")
	var all []string
	for _, table := range []string{"replication_connection_status", "metadata_locks", "clone_status", "clone_progress"} {
		all = append(all, strings.Replace(line, "performance_schema.*", "performance_schema."+table, 1))
	}
	return all
}

// documentedFlags are the flags of the lab that an operator needs too: those on which durability rests.
func documentedFlags(family Family) []string {
	flags := append(commonFlags(), mysqlFlags()...)
	if family == MariaDB {
		flags = append(commonFlags(), mariadbFlags()...)
	}
	var kept []string
	for _, f := range flags {
		needed := regexp.MustCompile(`^--(sync-|innodb-flush|log-bin|binlog-format|log-(slave|replica)-updates|gtid-|enforce-gtid|replica-preserve|skip-(slave|replica)-start|rpl-semi-sync-.*(point|timeout|no-))`)
		if needed.MatchString(f) {
			kept = append(kept, f)
		}
	}
	return kept
}
