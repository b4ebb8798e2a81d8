package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/baton-db/baton/mysqld"
)

// print is what a tool prints, on its way into a file.
type print struct {
	out    io.Writer
	flavor mysqld.Flavor
	size   int64
	seen   mysqld.GTIDSet // transactions that were printed
}

func (p *print) text(format string, args ...any) error {
	n, err := fmt.Fprintf(p.out, format, args...)
	p.size += int64(n)
	return err
}

// stretch has the tool print one stretch: rows decoded in comments, and as statements that a server can execute.
func (p *print) stretch(ctx context.Context, t Tool, s stretch) (err error) {
	cmd := exec.CommandContext(ctx, t.Path, "--no-defaults", "--verbose", "--verbose",
		"--start-position="+strconv.FormatInt(s.start, 10), "--stop-position="+strconv.FormatInt(s.end, 10), s.file)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	copied := p.copy(pipe)
	if copied != nil {
		_ = cmd.Process.Kill() // nobody reads on; Wait says how it ended
	}
	if err := errors.Join(copied, cmd.Wait()); err != nil {
		return fmt.Errorf("%s %s: %w: %.300s", t.Path, s.file, err, complaints.String())
	}
	return nil
}

// copy passes on every byte, and notes the GTID of every transaction.
func (p *print) copy(from io.Reader) error {
	r := bufio.NewReaderSize(from, 64<<10)
	whole := true // what comes next begins a line
	for {
		part, err := r.ReadSlice('\n')
		if len(part) > 0 {
			if whole {
				p.note(part)
			}
			n, bad := p.out.Write(part)
			p.size += int64(n)
			if bad != nil {
				return bad
			}
		}
		whole = !errors.Is(err, bufio.ErrBufferFull) // a long row stands in a long line
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && whole:
			return err
		}
	}
}

// What begins a transaction in a print: MySQL's statement, MariaDB's comment.
var (
	printedByMySQL   = regexp.MustCompile(`^SET @@SESSION\.GTID_NEXT= '([0-9a-f-]{36}:[0-9]+)'`)
	printedByMariaDB = regexp.MustCompile(`^#[0-9]{6} .*\tGTID ([0-9]+-[0-9]+-)([0-9]+)`)
)

// note sees which transaction a line begins, if any.
func (p *print) note(line []byte) {
	pattern := printedByMySQL
	if p.flavor == mysqld.MariaDB {
		pattern = printedByMariaDB
	}
	if !bytes.Contains(line, []byte("GTID")) {
		return
	}
	m := pattern.FindSubmatch(line)
	if m == nil {
		return
	}
	text := string(m[1])
	if p.flavor == mysqld.MariaDB {
		text += string(m[2]) + ".." + string(m[2])
	}
	if one, err := mysqld.ParseGTIDSet(p.flavor, text); err == nil {
		p.seen = p.seen.Union(one)
	}
}
