package chaos_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/baton-db/baton/internal/lab"
	"github.com/baton-db/baton/internal/lab/labtest"
)

// The exit status of the command on a machine that cannot run it.
const cannot = 3

// build makes a program as a user has it.
func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return path
}

// A short slice of `make chaos`: hosts in namespaces, a few faults of those that every failover has to survive.
func TestNothingAcknowledgedIsLostInASliceOfChaos(t *testing.T) {
	baton, chaos := build(t, "baton"), build(t, "chaos")
	for _, family := range lab.Families() {
		t.Run(string(family), func(t *testing.T) {
			labtest.Require(t, family)
			// How long things take is for a machine that does nothing else; what may never happen is looked for here.
			cmd := exec.CommandContext(t.Context(), chaos, "-baton", baton, "-family", string(family), "-seed", "1", "-minutes", "0.1", "-within", "4m",
				"-only", "server-kill,isolate-primary,baton-kill-leader,switchover,one-way-out,disk-stall", "-most", "2")
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() == cannot {
				t.Skip("THIS MACHINE CANNOT RUN IT: the last line says why")
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(out), "lost 0, double_acknowledged 0") || strings.Contains(string(out), "chaos: faults 0") {
				t.Error("the last line does not say that faults struck and nothing was lost")
			}
		})
	}
}
