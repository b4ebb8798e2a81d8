package agent

import (
	"errors"
	"fmt"
	"syscall"
)

// portInUse explains why a port could not be bound.
func portInUse(field, addr string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w", field, err)
	}
	return &FieldError{field, fmt.Errorf("%s is in use: %w. Stop that process, or give another port", addr, err)}
}
