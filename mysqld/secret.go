package mysqld

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Secret is a password. Printed, logged or marshaled in any way it shows only that it is there; string(s) reveals it.
type Secret string

const redacted = "(secret)"

// Format writes the same under every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String hides the secret.
func (Secret) String() string { return redacted }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// hiding is an error that says nothing of a secret: a server repeats a part of the statement it does not understand.
type hiding struct {
	err    error
	secret Secret
}

func (h hiding) Error() string {
	if h.secret == "" {
		return h.err.Error()
	}
	return strings.ReplaceAll(h.err.Error(), string(h.secret), redacted)
}

func (h hiding) Unwrap() error { return h.err }

// quote writes a string literal under the sql_mode that every session here has.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\x1a", `\Z`).Replace(s) + "'"
}
