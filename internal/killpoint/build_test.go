package killpoint

import (
	"strings"
	"testing"
)

const root = "../.."

func TestEverySeamStillApplies(t *testing.T) {
	all, err := sources(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"promote/killserver.go":          `pointsServer.Pass("before Server.FenceReceiver")`,
		"promote/killpromises.go":        `pointsPromises.Pass("after Promises.Save")`,
		"promote/decide/killproposer.go": `pointsProposer.Pass("after Proposer.Propose", a1)`,
		"api/server/killproposer.go":     "package server",
		"promote/guard.go":               "killServer{server}",
	} {
		if !strings.Contains(all[file], want) {
			t.Errorf("%s lacks %q:\n%s", file, want, all[file])
		}
	}
}
