package vendorlog_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/baton-db/baton/raft/vendorlog"
)

func TestVendorLogsArriveInWords(t *testing.T) {
	var out bytes.Buffer
	b := vendorlog.New(slog.New(slog.NewTextHandler(&out, nil))).With("peer", "n2").Named("other")
	b.Error("failed", "servers", hclog.Fmt("%d of %d", 1, 3), "bits", hclog.Hex(255))
	b.Error("failed", "servers", hclog.Fmt("%d of %d", 2, 3))
	b.Warn("odd", "count", 3)
	b.Info("detail")
	b.StandardLogger(nil).Print("detail too")
	got := out.String()
	for _, want := range []string{`level=WARN msg=failed peer=n2 servers="1 of 3" bits=255`, "level=INFO msg=odd peer=n2 count=3"} {
		if !strings.Contains(got, want) {
			t.Errorf("log lacks %q:\n%s", want, got)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("want two lines, the repetition and the details are left out:\n%s", got)
	}
}
