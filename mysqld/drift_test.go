package mysqld

import (
	"strings"
	"testing"
)

// Each of these settings lets a commit be answered that nobody has acknowledged.
func TestASettingThatAnswersCommitsEarlyIsNamed(t *testing.T) {
	waits := SemiSync{SourceEnabled: true, SourceWaits: true, K: 1, Timeout: Forever, WaitPoint: "AFTER_SYNC", WaitNoReplica: true}
	for name, c := range map[string]struct {
		change func(*SemiSync)
		want   string // in the answer; "": there is none
	}{
		"as baton sets it":          {func(*SemiSync) {}, ""},
		"no source":                 {func(s *SemiSync) { *s = SemiSync{} }, ""},
		"it has given up":           {func(s *SemiSync) { s.SourceWaits = false }, "gave up"},
		"clients read first":        {func(s *SemiSync) { s.WaitPoint = "AFTER_COMMIT" }, "AFTER_COMMIT"},
		"nobody is there":           {func(s *SemiSync) { s.WaitNoReplica = false }, "wait_no_replica"},
		"a timeout":                 {func(s *SemiSync) { s.Timeout = Forever - 1 }, "timeout"},
		"a timeout of no time":      {func(s *SemiSync) { s.Timeout = 0 }, "timeout"},
		"a longer one is no matter": {func(s *SemiSync) { s.Timeout = Forever + 1 }, ""},
	} {
		s := waits
		c.change(&s)
		if got := s.Weak(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
