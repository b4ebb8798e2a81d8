package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/config"
	"github.com/baton-db/baton/demo"
)

// Exit codes, documented in docs/cli.md.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitRefused     = 4
	exitRunning     = 5
)

// usageError is a command line, or something local that it names, that cannot be used.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// helpful is an error with a way out, which is printed on a line of its own.
type helpful struct {
	error
	fix string
}

func (h helpful) Unwrap() error { return h.error }

// usage makes a usageError with a way out.
func usage(fix, format string, args ...any) error {
	return usageError{helpful{fmt.Errorf(format, args...), fix}}
}

// errStillRunning is returned when something was accepted and had not ended when the wait was over.
var errStillRunning = errors.New("accepted, and still running")

// exitCode is what the caller of this program learns of err.
func exitCode(err error) int {
	var wrongUse usageError
	var bad *config.Error
	switch {
	case errors.As(err, &wrongUse), errors.As(err, &bad):
		return exitUsage
	case errors.Is(err, errStillRunning), errors.Is(err, api.ErrInDoubt):
		return exitRunning
	case errors.Is(err, demo.ErrBroken):
		return exitFailed
	case errors.Is(err, api.ErrNotLeader), errors.Is(err, api.ErrNoQuorum), isUnreachable(err):
		return exitUnreachable
	}
	if p, ok := errors.AsType[*api.Problem](err); ok && (p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity) {
		return exitRefused
	}
	return exitFailed
}

// isUnreachable reports whether no server answered at all.
func isUnreachable(err error) bool {
	var op *net.OpError
	_, answered := errors.AsType[*api.Problem](err)
	return !answered && (errors.As(err, &op) && op.Op == "dial" || errors.Is(err, context.DeadlineExceeded))
}

// report tells a person what went wrong: the error on the first line, and below it what is known and the way out.
func report(w io.Writer, err error) {
	var bad *config.Error
	var h helpful
	problem, refused := errors.AsType[*api.Problem](err)
	switch {
	case errors.As(err, &bad):
		fmt.Fprintln(w, bad)
	case refused:
		fmt.Fprintf(w, "Error %s: %s\n", problem.Code, problem.Detail)
		indent(w, said(problem))
		indent(w, wayOut(problem))
	case errors.As(err, &h):
		fmt.Fprintf(w, "Error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		indent(w, h.fix)
	default:
		fmt.Fprintf(w, "Error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
}

func said(p *api.Problem) string {
	if p.Node == "" {
		return ""
	}
	return fmt.Sprintf("said by %s, of the state at index %d", p.Node, p.Index)
}

// wayOut is the hint of p in the words of this program.
func wayOut(p *api.Problem) string {
	switch p.Code {
	case api.CodeNoDatabase:
		return "baton db list shows the databases"
	case api.CodeNoQuorum, api.CodeNotLeader:
		return "baton status shows what the server that answers knows; a majority of the servers must be up"
	case api.CodeForbidden:
		return "use the certificate of an operator or of a server: --identity DIR"
	}
	return p.Hint
}

// indent writes each line of s two columns in; nothing for "".
func indent(w io.Writer, s string) {
	if s != "" {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(s, "\n", "\n  "))
	}
}
