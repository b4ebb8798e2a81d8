package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/registry"
)

// silent is how old a report may be before a person should know.
const silent = 2 * time.Second

func dbShowCommand(o *options) *cobra.Command {
	var events int
	c := &cobra.Command{
		Use:   "show DATABASE",
		Short: "Show what is decided and seen of one database: refusals, findings with their fix, history",
		Example: `  baton db show orders
  baton db show orders --history 0     the whole history`,
		Args: exact(1),
		RunE: shownOf(o, func(ctx context.Context, client *api.Client, db registry.DatabaseName) (api.DatabaseView, error) {
			return client.Database(ctx, db, api.Stale)
		}, func(p *page, v api.DatabaseView) { drawDatabase(p, v, events) }),
	}
	c.Flags().IntVar(&events, "history", 12, "how many events to show; 0: all")
	return c
}

// drawDatabase shows the newest events of the history, all of them for events = 0.
func drawDatabase(p *page, v api.DatabaseView, events int) {
	d := v.Database
	p.line("%s", headline(d))
	if !d.Cause.Zero() {
		p.text("  because  ", d.Cause.String())
	}
	p.text("  writes   ", durability(d))
	if d.Policy.Paused {
		p.text("  PAUSED   ", strings.TrimPrefix(d.Pause.String(), "PAUSED "))
	}
	if l := d.Loss; l != nil {
		known := "nothing that was heard of"
		if l.Known != "" {
			known = l.Known
		}
		p.text("  LOST     ", fmt.Sprintf("with epoch %d, of what %s acknowledged: %s", l.Epoch, orNobody(l.From), known))
	}
	if !d.Refusal.Zero() {
		p.text("  REFUSED  ", d.Refusal.String())
	}
	p.line("")
	p.row("INSTANCE", "PART", "ADDRESS", "SERVER", "LAG", "HEARD", "DOING")
	for _, i := range v.Instances {
		drawInstance(p, d, i)
	}
	for _, i := range v.Instances {
		drawTroubles(p, d, i)
	}
	drawFindings(p, v.Instances)
	drawHistory(p, d.History, events)
}

// headline is who is primary, since when.
func headline(d *registry.Database) string {
	since := ""
	for _, e := range d.History {
		if e.Epoch == d.Epoch && e.Phase == d.Phase {
			since = " since " + clock(e.AtMillis)
			break
		}
	}
	switch {
	case d.Phase == registry.Serving:
		return fmt.Sprintf("%s  primary %s, epoch %d%s", d.Name, d.Primary, d.Epoch, since)
	case d.Phase == registry.Forming:
		return fmt.Sprintf("%s  NO PRIMARY yet: %d of %d expected members are registered", d.Name, len(d.Members), d.Policy.Expect)
	case d.Former == "":
		return fmt.Sprintf("%s  NO PRIMARY: the first one is being elected, epoch %d, %s%s", d.Name, d.Epoch, d.Phase, since)
	}
	return fmt.Sprintf("%s  NO PRIMARY: %s is being replaced, epoch %d, %s%s", d.Name, d.Former, d.Epoch, d.Phase, since)
}

func durability(d *registry.Database) string {
	if d.Alone != nil {
		line := fmt.Sprintf("%s since epoch %d: commits wait for nobody, ACKNOWLEDGED WRITES CAN BE LOST", worth(d.Durability), d.Alone.Epoch)
		if d.Change != nil {
			line += fmt.Sprintf("; that %d of %s have everything is being proved", d.Change.K, join(d.Ackers))
		}
		return line
	}
	if len(d.Ackers) == 0 {
		return string(d.Durability)
	}
	changing := ""
	switch c := d.Change; {
	case c != nil && c.K > 0:
		changing = fmt.Sprintf("; %d is being proved", c.K)
	case c != nil:
		changing = fmt.Sprintf("; %s retires", c.Retire)
	}
	return fmt.Sprintf("%s: each commit waits for %d of %s%s", d.Durability, d.K, join(d.Ackers), changing)
}

func drawInstance(p *page, d *registry.Database, i api.InstanceView) {
	m, _ := d.Member(i.Instance)
	if i.Report == nil || i.AgeMillis == nil {
		p.row(i.Instance, i.Part, m.Address, "", "", "NEVER", "")
		return
	}
	if age := millis(*i.AgeMillis); age > silent { // its last word is no news
		p.row(i.Instance, i.Part, m.Address, "not known", "", "SILENT "+ago(age), "not heard: it may do anything")
		return
	}
	server := string(i.Report.Process)
	if i.Report.UnreachableMillis > 0 {
		server += ", silent"
	}
	lag := ""
	if r := i.Report.Replication; r != nil {
		lag = "unknown"
		if r.LagSeconds >= 0 {
			lag = fmt.Sprintf("%d s", r.LagSeconds)
		}
	}
	p.row(i.Instance, i.Part, m.Address, server, lag, ago(millis(*i.AgeMillis))+" ago", short(strings.TrimPrefix(i.Report.Guard.Doing, "wait: "), 48))
}

// drawTroubles says what is wrong with one instance; nothing when all is well.
func drawTroubles(p *page, d *registry.Database, i api.InstanceView) {
	label := fmt.Sprintf("  %s: ", i.Instance)
	if m, _ := d.Member(i.Instance); !m.OutOf.Zero() && i.Part != api.PartPrimary {
		p.text(label+"not read from: ", m.OutOf.String())
	}
	if m, _ := d.Member(i.Instance); !m.Leaving.Zero() {
		p.text(label+"is to leave: ", m.Leaving.String())
	}
	if i.Report == nil {
		return
	}
	g := i.Report.Guard
	if g.Problem != "" && (g.Diverged == "" || !strings.Contains(g.Problem, g.Diverged)) {
		p.text(label, g.Problem)
	}
	if g.Diverged != "" {
		out := ""
		if i.Report.Returning == nil {
			out = ". Way out: save what they changed, then give this server a fresh copy (docs/operate.md)"
		}
		p.text(label, "diverged: it holds "+short(g.Diverged, 200)+", which the primary lacks, and is kept out"+out)
	}
	drawReturning(p, label, i.Report.Returning)
	if e := i.Report.ServerError; e != "" {
		p.text(label+"server: ", e)
	}
	if r := i.Report.Replication; r.Failure() != "" {
		p.text(label+"replication: ", r.Failure())
	}
}

// drawFindings lists the settings that do not fit the promises, each with its fix.
func drawFindings(p *page, all []api.InstanceView) {
	first := true
	for _, i := range all {
		if i.Report == nil {
			continue
		}
		for _, f := range i.Report.Findings {
			if first {
				p.line("\nFINDINGS")
				first = false
			}
			weight := "warning"
			if f.Fatal {
				weight = "FATAL"
			}
			p.text(fmt.Sprintf("%s  %s  %s  ", i.Instance, f.Code, weight), fmt.Sprintf("%s is %s, want %s: %s", f.Setting, orNothing(f.Have), f.Want, f.Why))
			for _, l := range fixLines(f.Fix) {
				p.line("      %s", l)
			}
		}
	}
}

func orNothing(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

func drawHistory(p *page, all []registry.Event, events int) {
	shown := all
	if events > 0 && len(all) > events {
		shown = all[len(all)-events:]
	}
	p.line("\nHISTORY")
	if len(shown) < len(all) {
		p.line("(%d older ones: --history 0)", len(all)-len(shown))
	}
	p.row("WHEN", "EPOCH", "PHASE", "INSTANCE", "WHAT")
	for _, e := range shown {
		p.row(clock(e.AtMillis), e.Epoch, e.Phase, e.Instance, short(e.Cause.String(), 76))
	}
}

// clock is a moment on this machine's clock and in its zone, as the server that proposed saw it.
func clock(ms int64) string { return time.UnixMilli(ms).Format("2006-01-02 15:04:05.000") }
