package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func packet(body string) []byte {
	return append([]byte{byte(len(body)), byte(len(body) >> 8), 0, 0}, body...)
}

func TestReadGreeting(t *testing.T) {
	for _, test := range []struct {
		name    string
		bytes   []byte
		version string
		fails   string
	}{
		{"MySQL", packet("\x0a9.7.4\x00rest"), "9.7.4", ""},
		{"MariaDB", packet("\x0a5.5.5-10.11.19-MariaDB\x00rest"), "5.5.5-10.11.19-MariaDB", ""},
		{"too many connections", packet("\xff\x10\x04Too many connections"), "", "error 1040: Too many connections"},
		{"other protocol", packet("\x09old\x00"), "", "protocol 9"},
		{"no terminator", packet("\x0a9.7.4"), "", "no version"},
		{"empty version", packet("\x0a\x00xx"), "", "no version"},
		{"cut", packet("\x0a9.7.4\x00rest")[:7], "", "unexpected EOF"},
		{"nothing", nil, "", "EOF"},
		{"another protocol's words", []byte("HTTP/1.1 400 Bad Request"), "", "is none"},
		{"not the first packet", []byte{4, 0, 0, 1, 10, 'a', 0, 0}, "", "is none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			version, err := readGreeting(bytes.NewReader(test.bytes))
			if version != test.version || (err == nil) != (test.fails == "") {
				t.Fatalf("= %q, %v", version, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("error %q, want %q in it", err, test.fails)
			}
		})
	}
}

func FuzzReadGreeting(f *testing.F) {
	f.Add(packet("\x0a9.7.4\x00rest"))
	f.Add(packet("\xff\x10\x04Too many connections"))
	f.Add([]byte{255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		version, err := readGreeting(bytes.NewReader(in))
		if (version == "") == (err == nil) {
			t.Errorf("version %q with error %v", version, err)
		}
		if err == nil && !bytes.Contains(in, []byte(version)) {
			t.Errorf("version %q is not in the input", version)
		}
	})
}

func TestParseVersion(t *testing.T) {
	for _, test := range []struct {
		out     string
		family  Family
		version string
	}{
		{"/usr/sbin/mysqld  Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)", MySQL, "9.7.4"},
		{"/p/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", MySQL, "9.7.4-2"},
		{"mysqld  Ver 8.0.26 for Linux on x86_64", MySQL, "8.0.26"},
		{"mysqld  Ver 8.0.25 for Linux on x86_64", "", ""},
		{"mysqld  Ver 5.7.44 for Linux on x86_64", "", ""},
		{"mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", MariaDB, "10.11.19-MariaDB-0+deb12u1"},
		{"a program without one", "", ""},
		{"", "", ""},
	} {
		family, version, err := parseVersion(test.out)
		if family != test.family || version != test.version || (err == nil) != (test.family != "") {
			t.Errorf("%q: %q %q %v", test.out, family, version, err)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("mysqld  Ver 9.7.4 for Linux")
	f.Add("mariadbd  Ver 10.11.19-MariaDB for Linux")
	f.Add("Ver 99999999999999999999.1.1")
	f.Fuzz(func(t *testing.T, out string) {
		family, version, err := parseVersion(out)
		if (err == nil) != (family != "" && version != "") {
			t.Errorf("%q %q %v", family, version, err)
		}
	})
}

func TestTail(t *testing.T) {
	for _, test := range []struct {
		text string
		n    int
		want string
	}{
		{"a\nb\nc\n", 2, "b\nc"},
		{"a\nb\nc", 2, "b\nc"},
		{"a\nb\nc\n\n\n", 1, "c"},
		{"a\nb", 9, "a\nb"},
		{"", 3, ""},
		{"\n\n", 3, ""},
	} {
		if got := tail([]byte(test.text), test.n); got != test.want {
			t.Errorf("tail(%q, %d) = %q, want %q", test.text, test.n, got, test.want)
		}
	}
}

// The template's key must change with what is in the template, and with nothing else.
func TestTemplateKeyNamesItsContents(t *testing.T) {
	a := &Binaries{Family: MySQL, Version: "9.7.4"}
	b := &Binaries{Family: MySQL, Version: "9.7.5"}
	c := &Binaries{Family: MariaDB, Version: "9.7.4"}
	same := &Binaries{Family: MySQL, Version: "9.7.4", command: []string{"/elsewhere/mysqld"}}
	if a.templateKey() == b.templateKey() || a.templateKey() == c.templateKey() || a.templateKey() != same.templateKey() {
		t.Errorf("keys %s %s %s %s", a.templateKey(), b.templateKey(), c.templateKey(), same.templateKey())
	}
}

// memory returns a lab directory of the test's own, on tmpfs when there is one.
func memory(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if !usable(parent, filepath.Join(parent, "none")) {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "baton-lab-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("BATON_LAB_DIR", dir)
	return dir
}

// The lock belongs to an open file, so goroutines meet here as processes do.
func TestTemplateIsBuiltOnceForAllWhoNeedIt(t *testing.T) {
	bin, err := Find(MariaDB)
	if err != nil {
		t.Skip(err)
	}
	base := memory(t)
	var wg sync.WaitGroup
	made := make([]os.FileInfo, 4)
	for i := range made {
		wg.Go(func() {
			dir, err := bin.template()
			if err != nil {
				t.Error(err)
				return
			}
			made[i], err = os.Stat(filepath.Join(dir, "ibdata1"))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, info := range made {
		if info != nil && !os.SameFile(info, made[0]) {
			t.Error("the template was built more than once")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, "template-*")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFailedTemplateLeavesNothingAndSaysWhy(t *testing.T) {
	for name, script := range map[string]string{
		"the command fails":          "echo advice; echo 'ERROR: no such thing'; echo more; exit 1",
		"the command fails silently": "echo 'no such thing'; exit 1",
		"only a statement fails":     "echo 'ERROR: no such thing'",
	} {
		t.Run(name, func(t *testing.T) {
			base := memory(t)
			bin := &Binaries{Family: MySQL, Version: "9.9.9", command: []string{"/bin/sh", "-c", script}}
			if dir, err := bin.template(); err == nil || !strings.Contains(err.Error(), "no such thing") {
				t.Errorf("template = %s, %v", dir, err)
			}
			if left, _ := filepath.Glob(filepath.Join(base, "template-*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestOldTemplatesArePruned(t *testing.T) {
	base := t.TempDir()
	old, young := filepath.Join(base, "template-mysql-old"), filepath.Join(base, "template-mysql-young")
	other := filepath.Join(base, "template-mariadb-old")
	for _, dir := range []string{old, young, other} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * staleTemplate)
	for _, dir := range []string{old, other} {
		if err := os.Chtimes(dir, past, past); err != nil {
			t.Fatal(err)
		}
	}
	prune(base, MySQL)
	for dir, want := range map[string]bool{old: false, young: true, other: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s exists=%v, want %v", filepath.Base(dir), err == nil, want)
		}
	}
}

func TestInitSQLHasOneStatementPerLine(t *testing.T) {
	for _, family := range Families() {
		for i, line := range strings.Split(strings.TrimSuffix(initSQL(family), "\n"), "\n") {
			if !strings.HasSuffix(line, ";") || strings.Count(line, ";") != 1 || strings.Contains(line, "--") {
				t.Errorf("%s line %d: %q", family, i+1, line)
			}
		}
	}
}

func TestSweepTakesOnlyWhatNobodyHolds(t *testing.T) {
	parent := t.TempDir()
	held, lock, err := workDir(parent, "held")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	left, gone, err := workDir(parent, "left")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(parent, "stranger") // not ours: no lock file
	if err := os.Mkdir(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(parent)
	for dir, want := range map[string]bool{held: true, left: false, stranger: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s exists=%v, want %v", filepath.Base(dir), err == nil, want)
		}
	}
}

func TestLabDirectoryOfAnotherKindIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, link} {
		t.Setenv("BATON_LAB_DIR", dir)
		if got, err := root(); err == nil {
			t.Errorf("root() = %s for %s", got, dir)
		}
	}
}

const scripts = "../../scripts"

func TestScriptsNameNoHost(t *testing.T) {
	for _, name := range []string{"get-mysql", "get-mariadb"} {
		text, err := os.ReadFile(filepath.Join(scripts, name))
		if err != nil {
			t.Fatal(err)
		}
		if host := regexp.MustCompile(`(?i)[a-z]+://|\b[a-z0-9-]+\.(org|com|net|io)\b`).Find(text); host != nil {
			t.Errorf("%s names %q; the machine's own configuration says where packages are", name, host)
		}
	}
}

// A machine whose apt knows no Debian archive gets one line that says so, and no prefix.
func TestGetMySQLSaysWhyItCannot(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("no apt-get on this machine")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "apt.conf")
	if err := os.WriteFile(config, []byte("Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"/dev/null\";\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(scripts, "get-mysql"))
	prefix := filepath.Join(dir, "mysql")
	cmd.Env = append(os.Environ(), "APT_CONFIG="+config, "BATON_MYSQL_ROOT="+prefix)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit %v, want status 1", err)
	}
	if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); len(lines) != 1 || !strings.HasPrefix(lines[0], "get-mysql: failed: ") {
		t.Errorf("said %q, want one line of failure", out)
	}
	for _, path := range []string{prefix, prefix + ".tmp"} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is left behind: %v", path, err)
		}
	}
}
